namespace LpLlm.Memory.Transport.Engine;

/// <summary>
/// What a change of state sets off: collected under the engine's lock, run after it. So no lock is held while a segment is made, a task
/// completes, a watcher wakes or a logger writes.
/// </summary>
internal sealed class Deferred
{
    private List<Action>? _actions;

    public void Add(Action action) => (_actions ??= []).Add(action);

    /// <summary>Runs all, also when one throws, which only a broken logger can: no answer is lost by it.</summary>
    public void Run()
    {
        List<Exception>? failures = null;
        foreach (var action in _actions ?? [])
        {
            try
            {
                action();
            }
            catch (Exception exception)
            {
                (failures ??= []).Add(exception);
            }
        }

        if (failures is not null)
        {
            throw new AggregateException(failures);
        }
    }
}
