namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>Slows a client down to so many requests a second, with bursts of as many.</summary>
internal sealed class RequestPace(int requestsPerSecond, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly double _interval = (double)time.TimestampFrequency / requestsPerSecond;
    private double _due;

    /// <summary>How long the request that has come now must wait.</summary>
    public TimeSpan Next()
    {
        double now = time.GetTimestamp();
        double ahead;
        lock (_lock)
        {
            _due = Math.Max(_due, now) + _interval;
            ahead = _due - now;
        }

        // A second ahead is the burst.
        return TimeSpan.FromSeconds(Math.Max(0, (ahead / time.TimestampFrequency) - 1));
    }
}
