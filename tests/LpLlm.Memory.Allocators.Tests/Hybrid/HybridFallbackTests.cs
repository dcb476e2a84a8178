using LpLlm.Memory.Pooling;
using LpLlm.Memory.Tests.Pooling;

namespace LpLlm.Memory.Tests.Hybrid;

public class HybridFallbackTests : HybridFixture
{
    [Theory]
    [InlineData(64 * KiB, 256, "class-65536", LeasePlacement.SizeClass)]
    [InlineData(4 * KiB, 4096, "class-4096", LeasePlacement.SizeClass)]
    [InlineData((64 * KiB) - 1, 256, "chain", LeasePlacement.FirstChoice)]
    [InlineData((64 * KiB) + 1, 256, "chain", LeasePlacement.FirstChoice)]
    [InlineData(64 * KiB, 8192, "chain", LeasePlacement.FirstChoice)]
    public void Rent_GoesToTheClassOfExactlyThatLengthElseToTheChain(
        long lengthBytes, int alignmentBytes, string poolName, LeasePlacement placement)
    {
        using var chain = Pool("chain");
        using var sut = Hybrid(Class(64 * KiB, 4), Class(4 * KiB, 4), Chain(chain));

        using var lease = sut.Rent(lengthBytes, alignmentBytes);

        lease.PoolName.Should().Be(poolName);
        lease.Placement.Should().Be(placement);
    }

    [Fact]
    public async Task C4_Fallback_IsNeverSilentAndNothingLeaks()
    {
        using var first = Pool("first");
        using var second = Pool("second");
        using var pageable = Pool("pageable", capabilities: PoolCapabilities.None);
        using var sut = Hybrid(Class(MiB, 1), Chain(first), Chain(second), Chain(pageable));

        PinnedLease[] leases =
            [sut.Rent(MiB), sut.Rent(MiB), sut.TryRent(MiB, out var third) ? third : null!, await sut.RentAsync(MiB).DefaultTimeout()];

        leases.Select(lease => (lease.PoolName, lease.Placement)).Should().Equal(
            ("class-1048576", LeasePlacement.SizeClass),
            ("first", LeasePlacement.Exhausted),
            ("second", LeasePlacement.Exhausted),
            ("pageable", LeasePlacement.Exhausted));
        leases.Select(lease => lease.Capabilities.HasFlag(PoolCapabilities.PageLocked)).Should().Equal(true, true, true, false);
        sut.Capabilities.Should().Be(PoolCapabilities.None, "not every lease is page-locked");
        sut.GetSnapshot().PageableBytes.Should().Be(MiB);
        sut.GetHops().Select(hop => (hop.ServedRents, hop.ServedBytes, hop.LiveLeases, hop.ExhaustedRents)).Should().Equal(
            (1, MiB, 1, 3), (1, MiB, 1, 2), (1, MiB, 1, 1), (1, MiB, 1, 0));
        sut.TryRent(MiB, out _).Should().BeFalse();

        Array.ForEach(leases, lease => lease.Dispose());
        sut.GetSnapshot().UsedBytes.Should().Be(0);
        sut.GetSnapshot().LiveLeases.Should().Be(0);
        sut.GetHops().Should().OnlyContain(hop => hop.LiveLeases == 0 && hop.LiveBytes == 0);
        (sut.GetSnapshot().TotalRents, sut.GetSnapshot().FailedRents).Should().Be((4, 1));
    }

    [Fact]
    public void L4_EveryMemberIsUsedAndAccountedFor()
    {
        using var chain = Pool("chain", 3 * MiB);
        using var sut = Hybrid(Class(64 * KiB, 16), Class(MiB, 2), Chain(chain));
        sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.CapacityBytes == 6 * MiB && s.LargestFreeBytes == 3 * MiB);

        var leases = new List<PinnedLease>();
        foreach (var lengthBytes in new[] { 64 * KiB, MiB })
        {
            while (sut.TryRent(lengthBytes, out var lease))
            {
                leases.Add(lease);
            }
        }

        leases.GroupBy(lease => lease.PoolName).ToDictionary(group => group.Key, group => group.Sum(lease => lease.LengthBytes))
            .Should().Equal(new Dictionary<string, long>
            {
                ["class-65536"] = MiB,
                ["class-1048576"] = 2 * MiB,
                ["chain"] = 3 * MiB,
            });
        sut.GetSnapshot().Should().Match<PoolSnapshot>(
            s => s.UsedBytes == 6 * MiB && s.ReservedBytes == 6 * MiB && s.FreeBytes == 0 && s.LargestFreeBytes == 0
                && s.LiveLeases == leases.Count && s.PeakUsedBytes == 6 * MiB);
        leases.ForEach(lease => lease.Dispose());
        sut.Trim().Should().Be(6 * MiB);
        sut.GetSnapshot().ReservedBytes.Should().Be(0);
    }

    [Fact]
    public void GetSnapshot_APoolReachedTwice_CountsOnce()
    {
        using var shared = Pool("shared");
        using var inner = Hybrid(Chain(shared));
        using var sut = Hybrid(Chain(inner), Chain(shared));

        sut.GetSnapshot().CapacityBytes.Should().Be(MiB);
    }

    [Fact]
    public void GetSnapshot_QuarantinedBytesAreNotFree()
    {
        var source = new SimulatedMemorySource();
        source.FailingReleases.Add(1);
        using var stuck = Pool("stuck", source: source);
        using var other = Pool("other");
        using var sut = Hybrid(Chain(stuck), Chain(other));
        sut.Rent(MiB).Dispose();

        sut.Trim();

        sut.GetSnapshot().Should().Match<PoolSnapshot>(
            s => s.CapacityBytes == 2 * MiB && s.QuarantinedBytes == MiB && s.FreeBytes == MiB && s.LargestFreeBytes == MiB);
    }

    [Fact]
    public void Rent_MemberThatIsAHybridFellBack_SaysSo()
    {
        using var first = Pool("first");
        using var second = Pool("second");
        using var inner = Hybrid(Chain(first), Chain(second));
        using var sut = Hybrid(Chain(inner));
        using var all = first.Rent(MiB);

        using var lease = sut.Rent(MiB);

        (lease.PoolName, lease.Placement).Should().Be(("second", LeasePlacement.Exhausted));
    }

    [Fact]
    public async Task FallBackOnExhaustionOff_StaysAtTheFirstMember()
    {
        using var second = Pool("second");
        using var sut = Hybrid(Settings() with { FallBackOnExhaustion = false }, Class(MiB, 1), Chain(second));
        var first = sut.Rent(MiB);

        sut.TryRent(MiB, out _).Should().BeFalse();
        sut.Invoking(pool => pool.Rent(MiB)).Should().Throw<PinnedMemoryExhaustedException>().Which.PoolName.Should().Be("sut");
        var waiting = sut.RentAsync(MiB).AsTask();
        waiting.IsCompleted.Should().BeFalse("it waits for the size class, and the second member is free");
        first.Dispose();

        using var lease = await waiting.DefaultTimeout();
        lease.Placement.Should().Be(LeasePlacement.SizeClass);
        second.GetSnapshot().TotalRents.Should().Be(0);
    }

    [Fact]
    public void Rent_NoRoomAnywhere_TellsTheCauseThatPassesSoonestAndAllFigures()
    {
        using var fragmented = Pool("fragmented");
        using var full = Pool("full");
        using var pending = Pool("pending", MiB / 2);
        using var sut = Hybrid(Chain(full), Chain(fragmented), Chain(pending));
        using var all = full.Rent(MiB);
        using var a = fragmented.Rent(MiB / 4);
        using var hole = fragmented.Rent(MiB / 2);
        using var b = fragmented.Rent(MiB / 4);
        a.Dispose();
        b.Dispose();
        var fence = new VirtualFence();
        sut.Rent(MiB / 2).ReturnAfter(fence);

        var half = sut.Invoking(pool => pool.Rent(MiB / 2)).Should().Throw<PinnedMemoryExhaustedException>().Which;
        var more = sut.Invoking(pool => pool.Rent((MiB / 2) + 1)).Should().Throw<PinnedMemoryExhaustedException>().Which;
        var never = sut.Invoking(pool => pool.Rent(MiB + 1)).Should().Throw<PinnedMemoryExhaustedException>().Which;

        (half.Cause, half.IsTransient).Should().Be((ExhaustionCause.Pending, true));
        (more.Cause, more.IsTransient).Should().Be((ExhaustionCause.Limit, true), "the member with pending bytes is too small for it");
        (never.Cause, never.IsTransient, never.LargestBlockBytes).Should().Be((ExhaustionCause.Limit, false, MiB));
        half.Snapshot.CapacityBytes.Should().Be(5 * MiB / 2);
        half.Snapshot.PendingBytes.Should().Be(MiB / 2);
        half.Message.Should().Contain("'sut'").And.Contain("device work");
        fence.Complete();
    }

    [Fact]
    public async Task Rent_NoMemberForTheLength_CanNeverSucceed()
    {
        using var sut = Hybrid(Class(64 * KiB, 4));

        sut.Invoking(pool => pool.Rent(100)).Should().Throw<PinnedMemoryExhaustedException>().Which.IsTransient.Should().BeFalse();
        sut.TryRent(100, out _).Should().BeFalse();
        await sut.Awaiting(pool => pool.RentAsync(100).DefaultTimeout()).Should().ThrowAsync<PinnedMemoryExhaustedException>();
    }

    [Fact]
    public async Task Rent_AMemberWhoseBlocksAreNotAlignedEnough_AsksTheNext()
    {
        using var first = new NarrowPool(4096);
        using var second = Pool("second");
        using var sut = Hybrid(Chain(first), Chain(second));

        PinnedLease[] leases =
        [
            sut.Rent(1000, 8192), sut.TryRent(1000, out var tried, 8192) ? tried : null!,
            await sut.RentAsync(1000, 8192).DefaultTimeout(), sut.Rent(1000, 4096),
        ];

        leases.Select(lease => (lease.PoolName, lease.Placement)).Should().Equal(
            ("second", LeasePlacement.Exhausted),
            ("second", LeasePlacement.Exhausted),
            ("second", LeasePlacement.Exhausted),
            ("narrow", LeasePlacement.FirstChoice));
        sut.GetHops()[0].Should().Match<HopStatistics>(hop => hop.IsAvailable && hop.ExhaustedRents == 3);
        using (second.Rent(second.GetSnapshot().LargestFreeBytes))
        {
            sut.Invoking(pool => pool.Rent(1000, 8192)).Should().Throw<PinnedMemoryExhaustedException>()
                .Which.IsTransient.Should().BeTrue("the second member could serve it later");
        }

        Array.ForEach(leases, lease => lease.Dispose());
    }

    [Fact]
    public void Rent_MisuseOfAMember_ReachesTheCaller()
    {
        var first = Pool("first");
        using var second = Pool("second");
        using var sut = Hybrid(Chain(first), Chain(second));
        first.Dispose();

        sut.Invoking(pool => pool.Rent(1)).Should().Throw<ObjectDisposedException>().Which.ObjectName.Should().Contain(nameof(PinnedPool));
        sut.GetHops()[0].IsAvailable.Should().BeTrue("a disposed pool is no outage, and will not come back");
    }

    [Fact]
    public void Trim_KeepsWhatIsAskedOverAllMembers_LastMembersFirst()
    {
        using var first = Pool("first");
        using var second = Pool("second");
        using var sut = Hybrid(Chain(first), Chain(second));
        using (first.Rent(1))
        using (second.Rent(1))
        {
            sut.Trim().Should().Be(0);
        }

        sut.Trim(MiB).Should().Be(MiB);

        first.GetSnapshot().ReservedBytes.Should().Be(MiB);
        second.GetSnapshot().ReservedBytes.Should().Be(0);
    }
}
