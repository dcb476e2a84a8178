using LpLlm.Memory.Tests.Pooling;

namespace LpLlm.Memory.Tests.FixedBlock;

/// <summary>The tests of the systems this one replaces, on simulated memory: cpp/test_pinned_memory and test_pinned_memory_pool.</summary>
public class OriginalPoolTests : FixedBlockFixture
{
    private const long MiB = 1 << 20;

    [Theory]
    [InlineData(1024, 1)]
    [InlineData(17 * MiB, 5)]
    [InlineData(1024 * MiB, 256)]
    public void ServerlessLlm_ARequest_TakesAsManyChunksAsItNeeds(long lengthBytes, int blocks)
    {
        using var sut = CreateSut(256, 4 * MiB);
        var leases = new PinnedLease[(int)((lengthBytes + sut.BlockBytes - 1) / sut.BlockBytes)];

        sut.TryRentBlocks(leases).Should().BeTrue();

        leases.Should().HaveCount(blocks).And.OnlyContain(lease => lease.LengthBytes == 4 * MiB);
        leases.Select(lease => lease.Address).Should().OnlyHaveUniqueItems();
        sut.GetSnapshot().UsedBytes.Should().Be(blocks * 4 * MiB);
        ReturnAll(leases);
    }

    [Fact]
    public void ServerlessLlm_TheWholePoolTwice_IsRefusedUntilItIsFreed()
    {
        using var sut = CreateSut(256, 4 * MiB);
        var all = new PinnedLease[256];
        var again = new PinnedLease[256];
        for (var round = 0; round < 100; round++)
        {
            sut.TryRentBlocks(all).Should().BeTrue();
            sut.TryRentBlocks(again).Should().BeFalse();
            again.Should().OnlyContain(lease => lease == null);
            ReturnAll(all);
        }

        sut.GetSnapshot().FailedRents.Should().Be(100);
        sut.Invoking(pool => pool.TryRentBlocks([])).Should().Throw<ArgumentException>();
        sut.TryRentBlocks(new PinnedLease[257]).Should().BeFalse();
    }

    [Fact]
    public async Task ServerlessLlm_HundredConcurrentTakers_AllSucceed()
    {
        using var sut = CreateSut(256, 4 * MiB);
        var takers = Enumerable.Range(0, 100).Select(async id =>
        {
            using var lease = await sut.RentAsync(4 * MiB - id);
            await Task.Yield();
            return lease.LengthBytes;
        });

        (await Task.WhenAll(takers).DefaultTimeout()).Should().HaveCount(100);

        sut.GetSnapshot().LiveLeases.Should().Be(0);
    }

    [Fact]
    public void LpLlm_PreallocatedShapes_AreExhaustedAfterTen()
    {
        var length = 128L * 256 * 512 * 2;
        using var sut = CreateSut(10, length);
        var leases = Enumerable.Range(0, 10).Select(_ => sut.Rent(length)).ToList();

        var error = sut.Invoking(pool => pool.Rent(length)).Should().Throw<PinnedMemoryExhaustedException>().Which;

        error.Cause.Should().Be(ExhaustionCause.Limit);
        error.IsTransient.Should().BeTrue();
        error.Message.Should().Contain("raise Blocks");
        leases[3].Dispose();
        leases[3] = sut.Rent(length); // a hole is as good as any other block
        leases.ForEach(lease => lease.Dispose());
    }

    [Fact]
    public void LpLlm_LongerThanAChunk_IsATypedErrorThatIsNotTransient()
    {
        using var sut = CreateSut();

        var error = sut.Invoking(pool => pool.Rent(Block + 1)).Should().Throw<PinnedMemoryExhaustedException>().Which;

        error.IsTransient.Should().BeFalse();
        error.Message.Should().Contain("the largest block it can ever serve is 4096 B: raise BlockBytes");
        sut.Invoking(pool => pool.Rent(0)).Should().Throw<ArgumentOutOfRangeException>();
        sut.Invoking(pool => pool.Rent(-1)).Should().Throw<ArgumentOutOfRangeException>();
    }

    [Fact]
    public async Task LpLlm_TenThreadsTimesFive_EverythingComesBack()
    {
        using var sut = CreateSut(50);
        var owners = new OwnerMap();
        await Task.WhenAll(Enumerable.Range(1, 10).Select(id => Task.Run(() =>
        {
            var leases = Enumerable.Range(0, 5).Select(_ => sut.Rent(Block)).ToList();
            leases.ForEach(lease => owners.Claim(lease, id));
            leases.ForEach(lease => owners.Release(lease, id));
            leases.ForEach(lease => lease.Dispose());
        }))).DefaultTimeout();

        sut.GetSnapshot().UsedBytes.Should().Be(0);
        var all = new PinnedLease[50];
        sut.TryRentBlocks(all).Should().BeTrue("what the threads keep back serves everybody");
        ReturnAll(all);
    }

    [Fact]
    public void L1_ForeignOrSecondReturn_IsAnErrorAndChangesNothing()
    {
        using var sut = CreateSut();
        using var other = CreateSut();
        using var foreign = other.Rent(Block);
        var block = Capture(sut, out var lease);
        var before = sut.GetSnapshot();

        foreach (var bad in new[] { block with { Address = foreign.Address }, block with { Token = block.Token + (1L << 40) }, block with { Token = block.Token + 4 } })
        {
            sut.Invoking(pool => pool.TakeBack(bad, null)).Should().Throw<InvalidOperationException>().Which.Message.Should().Contain("'sut'");
            sut.Invoking(pool => pool.TakeBack(bad, new VirtualFence())).Should().Throw<InvalidOperationException>();
        }

        sut.GetSnapshot().Should().Be(before);
        lease.Dispose();
        sut.Invoking(pool => pool.TakeBack(block, null)).Should().Throw<InvalidOperationException>("it was returned");
        using var next = sut.Rent(Block);
        sut.Invoking(pool => pool.TakeBack(block, null)).Should().Throw<InvalidOperationException>("the block has another lease now");
        sut.GetSnapshot().LiveLeases.Should().Be(1);
    }

    private static LeasedBlock Capture(Memory.Pooling.FixedBlockPool pool, out PinnedLease lease)
    {
        var spy = new Spy(pool);
        pool.Rent(Block).Dispose();
        var probe = pool.Rent(Block);
        probe.Interpose(_ => spy);
        probe.Dispose();
        lease = new PinnedLease(pool, spy.Block);
        return spy.Block;
    }

    private static void ReturnAll(PinnedLease[] leases) => Array.ForEach(leases, lease => lease.Dispose());

    /// <summary>Keeps the block that a lease gives back, and does not pass it on.</summary>
    private sealed class Spy(IPinnedLeaseOwner inner) : IPinnedLeaseOwner
    {
        public LeasedBlock Block { get; private set; }

        public string PoolName => inner.PoolName;

        public PoolCapabilities Capabilities => inner.Capabilities;

        public void TakeBack(in LeasedBlock block, IFence? fence) => Block = block;
    }
}
