namespace LpLlm.Memory.Transport.Engine;

/// <summary>
/// What a change of state sets off: collected under the engine's lock, run after it. So no lock is held while a segment is made, a task
/// completes, a watcher wakes or a logger writes.
/// </summary>
internal sealed class Deferred
{
    private List<Action>? _actions;

    public void Add(Action action) => (_actions ??= []).Add(action);

    public void Run() => _actions?.ForEach(static action => action());
}
