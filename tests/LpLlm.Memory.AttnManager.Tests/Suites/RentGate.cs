namespace LpLlm.Memory.Attention.Tests;

/// <summary>Holds the dispatcher inside a rent of the pool until it is opened: the one request that is then running stays running.</summary>
public sealed class RentGate : IDisposable
{
    private readonly FakePool _pool;
    private readonly TaskCompletionSource _entered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ManualResetEventSlim _open = new();

    /// <param name="pool">The pool.</param>
    /// <param name="skip">Rents that pass before the gate is closed.</param>
    public RentGate(FakePool pool, int skip = 0)
    {
        _pool = pool;
        pool.Renting = _ =>
        {
            if (Interlocked.Decrement(ref skip) >= 0)
            {
                return;
            }

            _entered.TrySetResult();
            if (!_open.Wait(AttnTestBase.Deadline))
            {
                throw new TimeoutException("The test never opened the gate.");
            }
        };
    }

    /// <summary>Completes when a request has begun and stands in the gate.</summary>
    public Task Entered => _entered.Task.WaitAsync(AttnTestBase.Deadline);

    public void Open()
    {
        _pool.Renting = null;
        _open.Set();
    }

    public void Dispose() => Open();
}
