using LpLlm.Memory.TestKit;

namespace LpLlm.Memory.Transport;

/// <summary>A wall clock that jumps, over monotonic time that a test moves.</summary>
internal sealed class JumpingTimeProvider : TimeProvider
{
    private readonly ManualTimeProvider _monotonic = new();
    private TimeSpan _offset;

    public override long TimestampFrequency => _monotonic.TimestampFrequency;

    public override long GetTimestamp() => _monotonic.GetTimestamp();

    public override DateTimeOffset GetUtcNow() => _monotonic.GetUtcNow() + _offset + TimeSpan.FromDays(10);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        _monotonic.CreateTimer(callback, state, dueTime, period);

    public void Jump(TimeSpan by) => _offset += by;

    public void Advance(TimeSpan by) => _monotonic.Advance(by);
}
