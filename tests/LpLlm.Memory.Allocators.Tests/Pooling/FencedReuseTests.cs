namespace LpLlm.Memory.Tests.Pooling;

/// <summary>Memory returned behind fences: nobody gets it before its fence, and nobody fails who had only to wait for one.</summary>
public class FencedReuseTests : PoolFixture
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);

    [Fact]
    public void Rent_FenceCompletedButNobodyLookedYet_FindsTheBlock()
    {
        using var sut = CreateSut(capacityBytes: MiB);
        var fence = new VirtualFence(this);
        sut.Rent(MiB).ReturnAfter(fence);
        fence.Complete();

        sut.Rent(MiB).Dispose();
    }

    [Fact]
    public async Task Rent_OnlyPendingBlocksInTheWay_WaitsForTheOldestSufficientFences()
    {
        using var sut = CreateSut(capacityBytes: MiB, fenceTimeout: Long);
        object slow = new(), quick = new();
        VirtualFence[] fences = [new(slow), new(quick), new(quick), new(quick)];
        var leases = fences.Select(_ => sut.Rent(MiB / 4)).ToList();
        for (var i = 0; i < 4; i++)
        {
            leases[i].ReturnAfter(fences[i]);
        }

        var renting = Task.Run(() => sut.Rent(MiB / 2));
        await TestTimeouts.UntilAsync(() => sut.GetSnapshot().WaitingRents == 1);
        fences[1].Complete();
        await TestTimeouts.UntilAsync(() => sut.GetSnapshot().PendingBytes == 3 * MiB / 4);
        renting.IsCompleted.Should().BeFalse("a quarter is not enough");
        fences[2].Complete();

        using var lease = await renting.DefaultTimeout();
        sut.GetSnapshot().PendingBytes.Should().Be(MiB / 2, "it waited neither for the slow stream nor for the last fence");
        fences[0].Complete();
        fences[3].Complete();
    }

    [Fact]
    public void Rent_FenceTimeoutPasses_SaysPending()
    {
        using var sut = CreateSut(capacityBytes: MiB);
        var fence = new VirtualFence();
        sut.Rent(MiB).ReturnAfter(fence);

        var error = sut.Invoking(pool => pool.Rent(1)).Should().Throw<PinnedMemoryExhaustedException>().Which;

        error.Cause.Should().Be(ExhaustionCause.Pending);
        error.IsTransient.Should().BeTrue();
        error.Snapshot.PendingBytes.Should().Be(MiB);
        fence.Complete();
    }

    [Fact]
    public void Rent_LiveLeasesInTheWay_DoesNotWaitForFences()
    {
        using var sut = CreateSut(capacityBytes: MiB, fenceTimeout: Long);
        var fence = new VirtualFence();
        sut.Rent(MiB / 2).ReturnAfter(fence);
        using var live = sut.Rent(MiB / 2);
        var started = TimeProvider.System.GetTimestamp();

        sut.TryRent(MiB, out _).Should().BeFalse();

        TimeProvider.System.GetElapsedTime(started).Should().BeLessThan(Long, "no fence could have made room");
        fence.Complete();
    }

    [Fact]
    public async Task ReturnAfter_OneStream_RetiresFromTheHeadOnly()
    {
        using var sut = CreateSut(capacityBytes: MiB);
        object stream = new();
        VirtualFence[] fences = [new(stream), new(stream), new(stream)];
        var leases = fences.Select(_ => sut.Rent(MiB / 4)).ToList();
        for (var i = 0; i < 3; i++)
        {
            leases[i].ReturnAfter(fences[i]);
        }

        fences[2].Complete();
        sut.Trim();
        sut.GetSnapshot().PendingBytes.Should().Be(3 * MiB / 4, "a stream's later fence says nothing while an earlier one is open");
        var asked = fences[2].Queries;
        sut.Trim();
        fences[2].Queries.Should().Be(asked, "only the head is asked");

        fences[0].Complete();
        fences[1].Complete();
        await TestTimeouts.UntilAsync(() => sut.GetSnapshot().PendingBytes == 0);
        sut.Rent(MiB).Dispose();
    }

    [Fact]
    public async Task ReturnAfter_NeighboursRetired_AreOneBlockAgain()
    {
        using var sut = CreateSut(capacityBytes: MiB);
        var fences = Enumerable.Range(0, 16).Select(i => new VirtualFence(i % 3)).ToArray();
        var leases = fences.Select(_ => sut.Rent(MiB / 16)).ToList();
        for (var i = 0; i < 16; i++)
        {
            leases[i].ReturnAfter(fences[i]);
        }

        foreach (var fence in fences.Reverse())
        {
            fence.Complete();
        }

        await TestTimeouts.UntilAsync(() => sut.GetSnapshot().PendingBytes == 0);
        sut.GetSnapshot().LargestFreeBytes.Should().Be(MiB);
    }

    [Fact]
    public async Task ReturnAfter_FenceFails_OnlyItsOwnBytesAreLost()
    {
        var sut = CreateSut(capacityBytes: MiB);
        object stream = new();
        VirtualFence[] fences = [new(stream), new(stream)];
        var leases = fences.Select(_ => sut.Rent(MiB / 2)).ToList();
        leases[0].ReturnAfter(fences[0]);
        leases[1].ReturnAfter(fences[1]);

        fences[0].Fail(new InvalidOperationException("illegal address"));
        fences[1].Complete();

        await TestTimeouts.UntilAsync(() => sut.GetSnapshot().PendingBytes == MiB / 2);
        using var rest = sut.Rent(MiB / 2);
        sut.GetSnapshot().PendingBytes.Should().Be(MiB / 2);
    }

    [Fact]
    public async Task Rent_AfterAFenceFailed_DoesNotWaitForItsBlock()
    {
        var sut = CreateSut(capacityBytes: MiB, fenceTimeout: Long);
        var fence = new VirtualFence();
        sut.Rent(MiB).ReturnAfter(fence);
        fence.Fail(new InvalidOperationException("illegal address"));
        await TestTimeouts.UntilAsync(() => Logger.Entries.Any(entry => entry.Id == 1002));
        var started = TimeProvider.System.GetTimestamp();

        sut.TryRent(1, out _).Should().BeFalse();

        TimeProvider.System.GetElapsedTime(started).Should().BeLessThan(Long, "a stranded block never comes back");
    }

    [Fact]
    public async Task ReturnAfter_FenceThrowsWhenAsked_StrandsItsBlockAndNothingElse()
    {
        var sut = CreateSut(capacityBytes: MiB);
        object stream = new();
        var next = new VirtualFence(stream);
        var leases = new[] { sut.Rent(MiB / 2), sut.Rent(MiB / 2) };

        leases[0].ReturnAfter(new ThrowingFence(stream));
        leases[1].ReturnAfter(next);
        next.Complete();

        await TestTimeouts.UntilAsync(() => sut.GetSnapshot().PendingBytes == MiB / 2);
        sut.Rent(MiB / 2).Dispose();
        Logger.Entries.Should().ContainSingle(entry => entry.Id == 1002);
    }

    [Fact]
    public void ReturnAfter_NeverQueriesAFenceUnderALock()
    {
        using var sut = CreateSut(capacityBytes: MiB, threadCacheBytes: MiB);
        var fence = new ReentrantFence(sut);
        sut.Rent(MiB).ReturnAfter(fence);

        sut.TryRent(MiB, out _).Should().BeFalse();

        fence.Calls.Should().BePositive("each query took the pool's own lock, and would have hung under it");
        fence.Complete();
    }

    [Fact]
    public async Task RandomStreamsAndOrders_NoBlockIsHandedOutBeforeItsFence()
    {
        using var sut = CreateSut(capacityBytes: 4 * MiB, slabBytes: 4 * MiB, threadCacheBytes: MiB, fenceTimeout: TimeSpan.Zero);
        var owners = new OwnerMap();
        var random = new Random(7);
        var streams = Enumerable.Range(0, 4).Select(_ => new object()).ToArray();
        var open = new List<(nint Address, long Length, VirtualFence Fence)>();
        for (var i = 0; i < 5000; i++)
        {
            if (sut.TryRent(256L << random.Next(0, 11), out var lease))
            {
                owners.Claim(lease, 1);
                var fence = new VirtualFence(random.Next(5) is var s and < 4 ? streams[s] : null);
                open.Add((lease.Address, lease.LengthBytes, fence));
                lease.ReturnAfter(fence);
            }

            while (open.Count > 0 && random.Next(3) > 0)
            {
                var index = random.Next(open.Count);
                Complete(owners, open, index);
            }
        }

        while (open.Count > 0)
        {
            Complete(owners, open, open.Count - 1);
        }

        await TestTimeouts.UntilAsync(() => sut.GetSnapshot().PendingBytes == 0);
        sut.Rent(4 * MiB).Dispose();
    }

    // A block is the device's until its fence completes, returned or not.
    private static void Complete(OwnerMap owners, List<(nint Address, long Length, VirtualFence Fence)> open, int index)
    {
        var (address, length, fence) = open[index];
        open.RemoveAt(index);
        owners.Release(address, length, 1);
        fence.Complete();
    }

    private sealed class ThrowingFence(object stream) : IFence
    {
        public object? StreamKey => stream;

        public bool IsCompleted => throw new InvalidOperationException("sticky error");

        public async ValueTask WaitAsync(CancellationToken cancellationToken = default)
        {
            await Task.Yield();
            throw new InvalidOperationException("sticky error");
        }
    }

    private sealed class ReentrantFence(IPinnedMemoryPool pool) : IFence
    {
        private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public int Calls { get; private set; }

        public bool IsCompleted
        {
            get
            {
                Calls++;
                _ = pool.GetSnapshot();
                return _done.Task.IsCompleted;
            }
        }

        public ValueTask WaitAsync(CancellationToken cancellationToken = default) => new(_done.Task.WaitAsync(cancellationToken));

        public void Complete() => _done.TrySetResult();
    }
}
