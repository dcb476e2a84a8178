namespace LpLlm.Memory.Models;

/// <summary>When a failure that a client can have as often as it likes is worth a line in the log: once a second. Thread-safe.</summary>
internal sealed class FailurePace(TimeProvider time)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private long? _lastTimestamp;

    /// <summary>Whether it is time; then not again for a second.</summary>
    public bool TryTake()
    {
        lock (_gate)
        {
            if (_lastTimestamp is { } last && time.GetElapsedTime(last) < Interval)
            {
                return false;
            }

            _lastTimestamp = time.GetTimestamp();
            return true;
        }
    }
}
