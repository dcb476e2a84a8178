namespace LpLlm.Memory.Tests;

public class ExceptionTests
{
    [Fact]
    public void IsTransient_SaysWhetherWaitingHelps()
    {
        new PoolServerUnavailableException("pipe://x", "The server is gone").IsTransient.Should().BeTrue();
        new PoolProtocolException("pipe://x", "Version 7").IsTransient.Should().BeFalse();
        new PoolRequestRejectedException("pipe://x", 5, "Quota").IsTransient.Should().BeFalse();
        new MemorySourceException("mlock", 12, "ENOMEM", 1, null, "Do.").IsTransient.Should().BeFalse();
        Exhausted(requested: 10, largest: 10).IsTransient.Should().BeTrue();
        Exhausted(requested: 11, largest: 10).IsTransient.Should().BeFalse();
    }

    [Fact]
    public void Messages_NameValuesAndRemedy()
    {
        Exhausted(10, 20, ExhaustionCause.Pending).Message.Should()
            .Contain("Pool 'p' cannot rent 10 B").And.Contain("waits for device work").And.Contain("capacity 100 B")
            .And.Contain("used 60 B in 3 leases").And.Contain("pending 20 B").And.Contain("largest free 15 B");
        new PoolRequestRejectedException("pipe://x", 5, "Quota").Message.Should().Be("Quota (code 5) (end point pipe://x)");
    }

    [Fact]
    public void Hierarchy_HasOneBase()
    {
        typeof(PoolServerUnavailableException).Should().BeDerivedFrom<PoolTransportException>();
        typeof(PoolTransportException).Should().BeDerivedFrom<PinnedMemoryException>();
        typeof(MemorySourceException).Should().BeDerivedFrom<PinnedMemoryException>();
        typeof(PinnedMemoryExhaustedException).Should().BeDerivedFrom<PinnedMemoryException>();
    }

    private static PinnedMemoryExhaustedException Exhausted(
        long requested, long largest, ExhaustionCause cause = ExhaustionCause.Limit) => new(
        "p",
        cause,
        requested,
        largest,
        new PoolSnapshot { CapacityBytes = 100, UsedBytes = 60, PendingBytes = 20, LargestFreeBytes = 15, LiveLeases = 3 });
}
