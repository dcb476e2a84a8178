using LpLlm.Memory.Transport.Engine;
using static LpLlm.Memory.Transport.EngineHarness;

namespace LpLlm.Memory.Transport;

public class PoolEngineLeaseTests
{
    [Fact]
    public void Acquire_OfAnOddLength_IsRoundedUpToOneSegment()
    {
        var harness = new EngineHarness();
        var session = harness.Open();

        var lease = Sent(harness.Engine.AcquireAsync(session, Options(3) with { LengthBytes = (2 * Unit) + 1 }, CancellationToken.None));

        lease.Segments.Should().ContainSingle().Which.Segment.LengthBytes.Should().Be(3 * Unit);
        harness.Statistics.LeasedBytes.Should().Be(3 * Unit);
        harness.Engine.List(session).Should().ContainSingle().Which.State.Should().Be(LeaseState.Leased);
    }

    [Fact]
    public async Task Acquire_WithWarmSegments_UsesThemAndMakesOnlyTheRest()
    {
        var harness = new EngineHarness(settings => settings with { WarmBytes = 3 * Standard });
        await harness.Engine.StartAsync(CancellationToken.None);
        harness.Statistics.IdleBytes.Should().Be(3 * Standard);

        var lease = harness.Acquire(harness.Open(), 10);

        lease.Segments.Select(segment => segment.Segment.LengthBytes / Unit).Should().Equal(4, 4, 2);
        harness.Statistics.LeasedBytes.Should().Be(10 * Unit);
        harness.Statistics.IdleBytes.Should().Be(3 * Standard, "warm segments are made anew");
    }

    [Fact]
    public void Release_ByALiveProcess_GivesItsMemoryToItselfOnly()
    {
        var harness = new EngineHarness();
        var (first, second) = (harness.Open(), harness.Open());
        var lease = harness.Acquire(first, 4);
        Piece(lease).Write("first");

        harness.Engine.Release(first, lease.LeaseId);

        var other = harness.Acquire(second, 4);
        Piece(other).Should().NotBeSameAs(Piece(lease), "the first process may still write to it");
        var again = harness.Acquire(first, 4);
        Piece(again).Should().BeSameAs(Piece(lease));
        Piece(again).Writers.Should().BeEmpty();
    }

    [Fact]
    public void Exited_AfterTheQuarantine_ItsMemoryIsZeroedAndOfTheSameUserOnly()
    {
        var harness = new EngineHarness();
        var first = harness.Open();
        var lease = harness.Acquire(first, 4);
        Piece(lease).Write("first");

        harness.Engine.Exited(first);

        harness.Statistics.PendingBytes.Should().Be(4 * Unit);
        harness.Engine.List().Should().ContainSingle().Which.State.Should().Be(LeaseState.Quarantined);
        harness.Advance(250);
        harness.Statistics.IdleBytes.Should().Be(4 * Unit);
        Piece(harness.Acquire(harness.Open(user: 1001), 4)).Should().NotBeSameAs(Piece(lease));
        var again = harness.Acquire(harness.Open(), 4);
        Piece(again).Should().BeSameAs(Piece(lease));
        Piece(again).Writers.Should().BeEmpty();
    }
}
