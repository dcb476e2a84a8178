namespace LpLlm.Memory.Transport.Engine;

/// <summary>Monotonic time: timestamps of a <see cref="TimeProvider"/>. A jump of the wall clock changes nothing.</summary>
internal sealed class EngineClock(TimeProvider time)
{
    public long Now => time.GetTimestamp();

    /// <summary>The timestamp that much later; the end of time where it would overflow.</summary>
    public long After(TimeSpan delay) => Add(Now, delay);

    /// <summary>The timestamp that much after another; the end of time where it would overflow.</summary>
    public long Add(long timestamp, TimeSpan delay)
    {
        var due = timestamp + ((Int128)delay.Ticks * time.TimestampFrequency / TimeSpan.TicksPerSecond);
        return due > long.MaxValue ? long.MaxValue : (long)due;
    }

    public TimeSpan Since(long timestamp) => time.GetElapsedTime(timestamp);

    /// <summary>Time until then, in whole milliseconds as timers have it: never early, at most a day.</summary>
    public TimeSpan Until(long timestamp)
    {
        var left = (Int128)timestamp - Now;
        var milliseconds = ((left * 1000) + time.TimestampFrequency - 1) / time.TimestampFrequency;
        return TimeSpan.FromMilliseconds((double)Int128.Clamp(milliseconds, 0, 86_400_000));
    }
}
