using System.Runtime.CompilerServices;
using LpLlm.Memory.Pooling;

namespace LpLlm.Memory.Tests.Pooling;

/// <summary>Thread caches in front of a pool: 64 MiB in one slab, so that a thread may keep several MiB.</summary>
public class ThreadCacheTests : PoolFixture
{
    [Fact]
    public void Return_OfARepeatedLength_IsCachedAndRentedAgain()
    {
        using var sut = CreateCached();
        var address = Warm(sut, 4096);

        sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.CachedBytes == 4096 && s.UsedBytes == 0 && s.LiveLeases == 0);
        using var again = sut.Rent(4000);

        again.Address.Should().Be(address, "4000 B round up to the same length");
        sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.CachedBytes == 0 && s.UsedBytes == 4096 && s.LiveLeases == 1);
        sut.GetSnapshot().TotalRents.Should().Be(3);
    }

    [Fact]
    public void Return_OfALengthSeenOnce_IsNotCached()
    {
        using var sut = CreateCached();
        for (var i = 1; i < 100; i++)
        {
            sut.Rent(i * 256).Dispose();
        }

        sut.GetSnapshot().CachedBytes.Should().Be(0, "a block kept for nobody stands in the way of its neighbours' merging");
        sut.GetSnapshot().LargestFreeBytes.Should().Be(64 * MiB);
    }

    [Fact]
    public void Return_Hits_AllocateTheLeaseOnly()
    {
        using var sut = CreateCached();
        Warm(sut, 4096);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++)
        {
            sut.Rent(4096).Dispose();
        }

        (GC.GetAllocatedBytesForCurrentThread() - before).Should().Be(100 * 64);
    }

    [Fact]
    public void Rent_WithATighterAlignment_DoesNotTakeAnUnalignedBlock()
    {
        using var sut = CreateCached();
        using var odd = sut.Rent(256);
        Warm(sut, 4096);

        using var aligned = sut.Rent(4096, 65536);

        (aligned.Address % 65536).Should().Be(0);
        sut.GetSnapshot().CachedBytes.Should().Be(4096);
    }

    [Fact]
    public void Rent_ThatWouldFail_TakesWhatOtherThreadsCache()
    {
        using var sut = CreateCached();
        OnOtherThread(() =>
        {
            var leases = Enumerable.Range(0, 4).Select(_ => sut.Rent(MiB)).ToList();
            leases.ForEach(lease => lease.Dispose());
        });
        sut.GetSnapshot().CachedBytes.Should().BePositive();

        using var all = sut.Rent(64 * MiB);

        sut.GetSnapshot().CachedBytes.Should().Be(0);
    }

    [Fact]
    public async Task RentAsync_Waiting_GetsWhatIsReturnedPastTheCaches()
    {
        using var sut = CreateCached();
        Warm(sut, MiB);
        var leases = Enumerable.Range(0, 64).Select(_ => sut.Rent(MiB)).ToList();
        var waiting = sut.RentAsync(MiB).AsTask();
        waiting.IsCompleted.Should().BeFalse();

        leases[17].Dispose();

        (await waiting.DefaultTimeout()).Dispose();
        leases.ForEach(lease => lease.Dispose());
        sut.GetSnapshot().CachedBytes.Should().BePositive("the caches are open again");
    }

    [Fact]
    public void Cache_NeverHoldsMoreThanItsShare()
    {
        using var sut = CreateCached(threadCacheBytes: 5 * 65536);
        for (var round = 0; round < 20; round++)
        {
            var leases = Enumerable.Range(0, 64).Select(i => sut.Rent((1 + (i % 12)) * 65536)).ToList();
            leases.ForEach(lease => lease.Dispose());

            sut.GetSnapshot().CachedBytes.Should().BeLessThanOrEqualTo(5 * 65536);
        }
    }

    [Fact]
    public void Cache_NewHotLength_ReplacesOneThatIsNoLongerRented()
    {
        using var sut = CreateCached();
        for (var length = 1; length <= 8; length++)
        {
            Warm(sut, length * 256);
        }

        for (var i = 0; i < 50; i++)
        {
            sut.Rent(100 * 256).Dispose();
        }

        var hits = CachedBytesAfter(sut, () => sut.Rent(100 * 256).Dispose());
        hits.Should().BeGreaterThanOrEqualTo(100 * 256);
    }

    [Fact]
    public void Trim_DrainsEveryThreadsCache()
    {
        using var sut = CreateCached();
        Warm(sut, 4096);
        OnOtherThread(() => Warm(sut, 8192));

        sut.Trim().Should().Be(64 * MiB);

        sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.CachedBytes == 0 && s.ReservedBytes == 0);
    }

    [Fact]
    public async Task ThreadExit_GivesItsCacheBack()
    {
        using var sut = CreateCached();
        RunAndForget(() => Warm(sut, 4096));
        sut.GetSnapshot().CachedBytes.Should().Be(4096);

        await TestTimeouts.UntilAsync(() =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return sut.GetSnapshot().CachedBytes == 0;
        });
        sut.GetSnapshot().TotalRents.Should().Be(2, "its figures stay");
    }

    [Fact]
    public void Dispose_WithFullCaches_EndsAtOnceAndGivesTheMemoryBack()
    {
        var sut = CreateCached();
        Warm(sut, 4096);
        OnOtherThread(() => Warm(sut, 4096));

        sut.Dispose();

        Source.ReservedBytes.Should().Be(0);
    }

    [Fact]
    public void NewPool_ThatInheritsADisposedPoolsSlot_StartsEmpty()
    {
        for (var i = 0; i < 20; i++)
        {
            using var sut = CreateCached();
            sut.GetSnapshot().CachedBytes.Should().Be(0);
            Warm(sut, 4096);
            sut.GetSnapshot().CachedBytes.Should().Be(4096);
        }
    }

    [Fact]
    public async Task ManyThreads_MixedLengthsTrimAndExhaustion_LoseNothing()
    {
        using var sut = CreateCached(capacityBytes: 8 * MiB, threadCacheBytes: MiB);
        var owners = new OwnerMap();
        var workers = Enumerable.Range(1, 4).Select(id => Task.Run(() =>
        {
            var random = new Random(id);
            var held = new List<PinnedLease>();
            for (var i = 0; i < 20_000; i++)
            {
                if (random.Next(2) == 0 && sut.TryRent(256L << random.Next(0, 12), out var lease))
                {
                    owners.Claim(lease, id);
                    held.Add(lease);
                }
                else if (held.Count > 0)
                {
                    var index = random.Next(held.Count);
                    owners.Release(held[index], id);
                    held[index].Dispose();
                    held.RemoveAt(index);
                }

                if (random.Next(1000) == 0)
                {
                    sut.Trim();
                }
            }

            foreach (var rest in held)
            {
                owners.Release(rest, id);
                rest.Dispose();
            }
        }));

        await Task.WhenAll(workers).DefaultTimeout();

        sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.UsedBytes == 0 && s.LiveLeases == 0);
        using var all = sut.Rent(8 * MiB);
    }

    private static nint Warm(PinnedPool sut, long lengthBytes)
    {
        sut.Rent(lengthBytes).Dispose();
        var second = sut.Rent(lengthBytes);
        var address = second.Address;
        second.Dispose();
        return address;
    }

    private static long CachedBytesAfter(PinnedPool sut, Action action)
    {
        action();
        return sut.GetSnapshot().CachedBytes;
    }

    private static void OnOtherThread(Action action)
    {
        var thread = new Thread(() => action());
        thread.Start();
        thread.Join(TimeSpan.FromSeconds(30)).Should().BeTrue();
        GC.KeepAlive(thread);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void RunAndForget(Action action) => OnOtherThread(action);

    private PinnedPool CreateCached(long capacityBytes = 64 * MiB, long threadCacheBytes = 16 * MiB) =>
        CreateSut(capacityBytes, slabBytes: capacityBytes, threadCacheBytes: threadCacheBytes);
}
