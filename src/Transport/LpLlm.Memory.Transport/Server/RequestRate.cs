namespace LpLlm.Memory.Transport.Server;

/// <summary>
/// How fast one connection may send: so many requests a second, in bursts of a second's worth. Tells how long to wait instead of refusing:
/// a client that is too fast is slowed down. Not thread-safe.
/// </summary>
internal sealed class RequestRate(int requestsPerSecond, TimeProvider time)
{
    private readonly long _interval = Math.Max(1, time.TimestampFrequency / requestsPerSecond);

    /// <summary>When the next request would be due at the steady rate.</summary>
    private long _due = long.MinValue;

    /// <summary>Counts a request and says how long it must wait; zero within a burst.</summary>
    public TimeSpan Take()
    {
        var now = time.GetTimestamp();
        _due = Math.Max(_due, now) + _interval;
        var ahead = _due - now - time.TimestampFrequency;
        return ahead <= 0 ? TimeSpan.Zero : time.GetElapsedTime(0, ahead);
    }
}
