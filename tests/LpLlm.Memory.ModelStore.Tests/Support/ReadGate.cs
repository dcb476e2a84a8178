namespace LpLlm.Memory.Models;

/// <summary>Holds reads back until a test lets them go, and tells when the first has come.</summary>
internal sealed class ReadGate : IDisposable
{
    private readonly ManualResetEventSlim _open = new();
    private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task Reached => _reached.Task;

    /// <summary>Where a disk's reads come by.</summary>
    public void Pass(string model, long offsetBytes)
    {
        _reached.TrySetResult();
        if (!_open.Wait(TimeSpan.FromSeconds(30)))
        {
            throw new TimeoutException("The test never let the read go.");
        }
    }

    public void Open() => _open.Set();

    public void Dispose()
    {
        _open.Set();
        _open.Dispose();
    }
}
