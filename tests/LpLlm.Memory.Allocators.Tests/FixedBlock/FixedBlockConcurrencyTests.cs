using LpLlm.Memory.Pooling;
using LpLlm.Memory.Tests.Pooling;

namespace LpLlm.Memory.Tests.FixedBlock;

public class FixedBlockConcurrencyTests : FixedBlockFixture
{
    [Fact]
    public async Task Stack_PopAndPushByFourThreads_NeverHandsOutABlockTwice()
    {
        // Few blocks and pops of several make the same head come back all the time: without tags this fails within milliseconds.
        const int Blocks = 4;
        var sut = new BlockStack(Blocks);
        var owners = new int[Blocks];
        for (var block = 0; block < Blocks; block++)
        {
            sut.Push(block);
        }

        await Task.WhenAll(Enumerable.Range(1, 4).Select(id => Task.Run(() =>
        {
            var held = new Stack<int>();
            for (var i = 0; i < 100_000; i++)
            {
                sut.PopUpTo(1 + ((i + id) % 3), out var first);
                for (var block = first; block != BlockStack.None; block = sut.Next(block))
                {
                    Interlocked.CompareExchange(ref owners[block], id, 0).Should().Be(0);
                    held.Push(block);
                }

                while (held.TryPop(out var back))
                {
                    Interlocked.CompareExchange(ref owners[back], 0, id).Should().Be(id);
                    sut.Push(back);
                }
            }
        }))).DefaultTimeout();

        sut.PopUpTo(Blocks + 1, out _).Should().Be(Blocks);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(32)]
    public async Task Batches_UnderContention_TakeAllOrNothing(int threadCacheBlocks)
    {
        using var sut = CreateSut(blocks: 32, threadCacheBlocks: threadCacheBlocks);
        var owners = new OwnerMap();
        var full = 0;
        await Task.WhenAll(Enumerable.Range(1, 4).Select(id => Task.Run(() =>
        {
            var random = new Random(id);
            for (var i = 0; i < 3000; i++)
            {
                var leases = new PinnedLease[random.Next(1, 24)];
                if (!sut.TryRentBlocks(leases))
                {
                    leases.Should().OnlyContain(lease => lease == null);
                    Interlocked.Increment(ref full);
                    continue;
                }

                Array.ForEach(leases, lease => owners.Claim(lease, id));
                Array.ForEach(leases, lease => owners.Release(lease, id));
                Array.ForEach(leases, lease => lease.Dispose());
            }
        }))).DefaultTimeout();

        var all = new PinnedLease[32];
        sut.TryRentBlocks(all).Should().BeTrue("nothing was lost");
        Array.ForEach(all, lease => lease.Dispose());
        sut.GetSnapshot().FailedRents.Should().Be(full);
    }

    [Fact]
    public async Task Batch_OfALargePart_GetsItsTurnAgainstSingleRents()
    {
        // A walk over 20,000 links is overtaken by every single rent; the batch must still get an exact answer, which is yes.
        using var sut = CreateSut(blocks: 20_010, threadCacheBlocks: 0);
        using var done = new CancellationTokenSource();
        var singles = Enumerable.Range(0, 2).Select(_ => Task.Run(() =>
        {
            while (!done.IsCancellationRequested)
            {
                sut.Rent(1).Dispose(); // 10 blocks are left beside the batch: a miss would throw
            }
        })).ToList();
        var batch = Task.Run(() =>
        {
            var leases = new PinnedLease[20_000];
            for (var round = 0; round < 20; round++)
            {
                sut.TryRentBlocks(leases).Should().BeTrue();
                Array.ForEach(leases, lease => lease.Dispose());
            }
        });

        await batch.DefaultTimeout();
        await done.CancelAsync();
        await Task.WhenAll(singles).DefaultTimeout();
        sut.GetSnapshot().UsedBytes.Should().Be(0);
    }

    [Fact]
    public async Task AsManyBlocksAsThreads_NoRentEverMisses_WhateverTheCachesHold()
    {
        using var sut = CreateSut(blocks: 8);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < 20_000; i++)
            {
                using var one = sut.Rent(1);
                using var two = sut.Rent(1);
            }
        }))).DefaultTimeout();

        sut.GetSnapshot().FailedRents.Should().Be(0);
    }

    [Fact]
    public async Task TrimsBetweenRents_NeverMakeARentMissOrABlockAppearTwice()
    {
        using var sut = CreateSut(blocks: 8);
        using var done = new CancellationTokenSource();
        var trims = Task.Run(() =>
        {
            long released = 0;
            while (!done.IsCancellationRequested)
            {
                released += sut.Trim();
            }

            return released;
        });
        await Task.WhenAll(Enumerable.Range(0, 3).Select(id => Task.Run(async () =>
        {
            for (var i = 0; i < 2000; i++)
            {
                sut.Rent(1).Dispose();
                (await sut.RentAsync(1)).Dispose();
                var pair = new PinnedLease[2];
                sut.TryRentBlocks(pair).Should().BeTrue();
                Array.ForEach(pair, lease => lease.Dispose());
            }
        }))).DefaultTimeout();

        await done.CancelAsync();
        await trims.DefaultTimeout();
        sut.Trim();
        Source.ReservedBytes.Should().Be(0);
        Source.PeakReservedBytes.Should().Be(8 * Block);
    }

    [Fact]
    public async Task ManyWaiters_BesideCachedReturns_AllAreServed()
    {
        using var sut = CreateSut(blocks: 8);
        await Task.WhenAll(Enumerable.Range(0, 24).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < 300; i++)
            {
                using var lease = await sut.RentAsync(1);
                await Task.Yield();
            }
        }))).DefaultTimeout();

        sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.UsedBytes == 0 && s.TotalRents == 24 * 300 && s.WaitingRents == 0);
    }
}
