using LpLlm.Memory.Pooling;

namespace LpLlm.Memory.Tests.Pooling;

/// <summary>Faults of the pools this library replaces, by their IDs: each must not be possible here.</summary>
public class OriginalFaultTests : PoolFixture
{
    [Fact]
    public async Task L2_FailedChunk_IsAnErrorAndNeverCountedAsThere()
    {
        Source.FailingReserves.Add(2);
        using var sut = CreateSut(initialBytes: 4 * MiB);

        await sut.Awaiting(pool => pool.OpenAsync(null, CancellationToken.None).DefaultTimeout()).Should().ThrowAsync<MemorySourceException>();

        sut.GetSnapshot().ReservedBytes.Should().Be(MiB).And.Be(Source.ReservedBytes);
        await sut.OpenAsync(null, CancellationToken.None).DefaultTimeout();
        sut.GetSnapshot().ReservedBytes.Should().Be(4 * MiB).And.Be(Source.ReservedBytes);
    }

    [Fact]
    public void L3_BlocksFarLongerThanAMegabyte_AreServedByDefault()
    {
        var options = new LocalPinnedPoolOptions { CapacityBytes = 4L << 30, InitialBytes = 0 };
        using var sut = new PinnedPool(PinnedPoolSettings.From("sut", options), Source, Logger);

        sut.Rent(1L << 30).Dispose();
        sut.Invoking(pool => pool.Rent((1L << 30) + 1)).Should().Throw<PinnedMemoryExhaustedException>()
            .WithMessage("*raise CapacityBytes and SlabBytes*").Which.IsTransient.Should().BeFalse();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(long.MinValue)]
    public void L5_S6_LengthsBelowOne_AreErrorsAndChangeNothing(long lengthBytes)
    {
        using var sut = CreateSut();
        var before = sut.GetSnapshot();

        sut.Invoking(pool => pool.Rent(lengthBytes)).Should().Throw<ArgumentOutOfRangeException>();

        sut.GetSnapshot().Should().Be(before);
    }

    [Fact]
    public void L6_PinnedBytes_AreThoseAskedForAndNotTheNextPowerOfTwo()
    {
        // 2.083 GiB became 4 GiB in the original (vllm#53042).
        const long lengthBytes = 2236710912;
        var options = new LocalPinnedPoolOptions { CapacityBytes = 4L << 30, SlabBytes = 4L << 30, InitialBytes = 0 };
        using var sut = new PinnedPool(PinnedPoolSettings.From("sut", options), Source, Logger);

        using var lease = sut.Rent(lengthBytes);

        sut.GetSnapshot().UsedBytes.Should().BeLessThan(lengthBytes + 256);
        using var second = sut.Rent((4L << 30) - lengthBytes - 256);
    }

    [Fact]
    public void C2_TwoClients_NeverShareAByte()
    {
        using var sut = CreateSut(capacityBytes: MiB);
        var owners = new OwnerMap();
        var leases = Enumerable.Range(1, 64).Select(i => (Id: i, Lease: sut.Rent(MiB / 64))).ToList();

        leases.ForEach(client => owners.Claim(client.Lease, client.Id));

        leases.ForEach(client => client.Lease.Dispose());
    }

    [Theory]
    [InlineData(64)]
    [InlineData(4096)]
    [InlineData(2 << 20)]
    public void C8_OddNeighbours_DoNotCostTheNextLeaseItsAlignment(int alignmentBytes)
    {
        using var sut = CreateSut(capacityBytes: 8 * MiB, slabBytes: 8 * MiB, threadCacheBytes: MiB);
        for (var i = 1; i < 50; i++)
        {
            using var odd = sut.Rent(i * 7);
            using var lease = sut.Rent(1000, alignmentBytes);

            (lease.Address % alignmentBytes).Should().Be(0);
        }
    }
}
