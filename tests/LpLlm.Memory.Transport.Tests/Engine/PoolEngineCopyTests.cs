using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Models;
using static LpLlm.Memory.Transport.EngineHarness;

namespace LpLlm.Memory.Transport.Engine;

/// <summary>A segment from or to which a device copies stays as it is, whatever becomes of its lease and of the client.</summary>
public class PoolEngineCopyTests
{
    private readonly EngineHarness _sut = new();

    [Theory]
    [InlineData(0, 0)]
    [InlineData(-1, 1)]
    [InlineData(0, Unit + 1)]
    [InlineData(Unit, 1)]
    [InlineData(1, Unit)]
    [InlineData(1, long.MaxValue)]
    [InlineData(long.MaxValue, 1)]
    [InlineData(long.MaxValue, long.MaxValue)]
    [InlineData(0, -1)]
    [InlineData(long.MinValue, long.MinValue)]
    public void U7_ARangeOutsideItsSegment_IsRefusedBeforeAnythingIsHeld(long offset, long length)
    {
        var session = _sut.Open();
        var lease = _sut.Acquire(session, 1);

        var fault = Fault(() => _sut.Engine.Hold(session, lease.LeaseId, [Whole(lease), new SegmentRange(lease.Segments[0].Id, offset, length)], areWritten: true));

        fault.Code.Should().Be(PoolFaultCode.InvalidArgument);
        _sut.Engine.Release(session, lease.LeaseId);
        Piece(lease).ClearCount.Should().Be(1, "nothing holds it");
    }

    [Fact]
    public void U7_AnothersLeaseOrSegment_IsNotFound()
    {
        var (owner, other) = (_sut.Open(), _sut.Open());
        var (mine, others) = (_sut.Acquire(owner, 1), _sut.Acquire(other, 1));

        Fault(() => _sut.Engine.Hold(other, mine.LeaseId, [Whole(mine)], areWritten: false)).Code.Should().Be(PoolFaultCode.NotFound);
        Fault(() => _sut.Engine.Hold(other, others.LeaseId, [Whole(mine)], areWritten: false)).Code.Should().Be(PoolFaultCode.NotFound);
        Fault(() => _sut.Engine.Hold(other, ulong.MaxValue, [Whole(others)], areWritten: false)).Code.Should().Be(PoolFaultCode.NotFound);
    }

    [Fact]
    public void AReleasedLease_IsClearedOnlyAfterTheCopy()
    {
        var session = _sut.Open();
        var lease = _sut.Acquire(session, 1);
        var hold = _sut.Engine.Hold(session, lease.LeaseId, [Whole(lease)], areWritten: true);

        _sut.Engine.Release(session, lease.LeaseId);
        _sut.Advance(60_000);
        Piece(lease).ClearCount.Should().Be(0, "the device may still read it");
        _sut.Statistics.PendingBytes.Should().Be(Unit);

        hold.Dispose();
        Piece(lease).ClearCount.Should().Be(1);
        _sut.Statistics.PendingBytes.Should().Be(0);
    }

    [Fact]
    public void AShrunkLease_GivesItsSegmentBackAfterTheLastOfTwoCopies()
    {
        var session = _sut.Open();
        var lease = _sut.Acquire(session, 1);
        var holds = new[] { Hold(session, lease), Hold(session, lease) };

        _sut.Engine.Shrink(session, lease.LeaseId, [lease.Segments[0].Id]);
        holds[0].Dispose();
        holds[0].Dispose();
        Piece(lease).ClearCount.Should().Be(0, "ended twice is ended once");

        holds[1].Dispose();
        Piece(lease).ClearCount.Should().Be(1);
    }

    [Fact]
    public void AKilledClientsSegment_IsReusedOnlyAfterTheCopy_HoweverLongTheQuarantineIsOver()
    {
        var session = _sut.Open();
        var lease = _sut.Acquire(session, 1);
        var hold = Hold(session, lease);

        _sut.Engine.Exited(session);
        _sut.Advance(60_000);
        Piece(lease).ClearCount.Should().Be(0);
        Piece(lease).FreedPages.Should().BeNull();

        hold.Dispose();
        Piece(lease).ClearCount.Should().Be(1);
    }

    [Fact]
    public void ARevokedLease_CanStillBeCopied_UntilItsClientLetsGo()
    {
        var session = _sut.Open();
        var lease = _sut.Acquire(session, 1);

        _sut.Engine.Revoke(lease.LeaseId, "test");

        Hold(session, lease).Dispose();
    }

    [Fact]
    public async Task TheEngineEnds_OnlyAfterTheCopy()
    {
        var session = _sut.Open();
        var lease = _sut.Acquire(session, 1);
        var hold = Hold(session, lease);

        var end = _sut.Engine.DisposeAsync().AsTask();
        end.IsCompleted.Should().BeFalse();
        Piece(lease).FreedPages.Should().BeNull("a device reads what would be unmapped");

        hold.Dispose();
        await end.DefaultTimeout();
        Piece(lease).FreedPages.Should().BeFalse();
        _sut.Source.Violations.Should().BeEmpty();
    }

    [Fact]
    public void AModelThatIsOpen_IsCopiedFrom_AndNeverTo()
    {
        var model = _sut.Acquire(_sut.OpenStore(), 1, single: true);
        var reader = _sut.Open();
        using var shared = _sut.Engine.OpenModel(reader, Token.Create(), new ServedModel(model.LeaseId, Unit, [], new MemoryStream()));
        var range = new SegmentRange(shared.Segments[0].Id, 0, Unit);

        _sut.Engine.Hold(reader, model.LeaseId, [range], areWritten: false).Dispose();

        Fault(() => _sut.Engine.Hold(reader, model.LeaseId, [range], areWritten: true)).Code.Should().Be(PoolFaultCode.PermissionDenied);
    }

    private static SegmentRange Whole(LeaseGrant lease) => new(lease.Segments[0].Id, 0, lease.Segments[0].Segment.LengthBytes);

    private SegmentHold Hold(PoolSession session, LeaseGrant lease) => _sut.Engine.Hold(session, lease.LeaseId, [Whole(lease)], areWritten: true);
}
