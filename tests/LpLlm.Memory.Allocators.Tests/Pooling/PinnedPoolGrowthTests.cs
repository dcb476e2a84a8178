using LpLlm.Memory.Pooling;

namespace LpLlm.Memory.Tests.Pooling;

public class PinnedPoolGrowthTests : PoolFixture
{
    [Fact]
    public async Task Open_TakesInitialBytesInWholeSlabs()
    {
        using var sut = CreateSut(initialBytes: 1536 * 1024);
        var reports = new List<PinProgress>();

        await sut.OpenAsync(new Reports(reports), CancellationToken.None).DefaultTimeout();

        sut.GetSnapshot().ReservedBytes.Should().Be(2 * MiB);
        Source.Reserves.Should().Be(2);
        reports.Should().BeInAscendingOrder(report => report.ReadyBytes);
    }

    [Theory]
    [InlineData(false, 1)]
    [InlineData(true, 2)]
    public async Task Open_SeveralSlabs_AsManyAtATimeAsTheSourceGainsFrom(bool opensAhead, int atATime)
    {
        var gate = new TaskCompletionSource();
        Source.Gate = gate.Task;
        using var sut = CreateSut(capacityBytes: (9 * MiB) / 2, initialBytes: (17 * MiB) / 4, opensAhead: opensAhead);
        var reports = new List<PinProgress>();
        var opening = sut.OpenAsync(new Reports(reports), CancellationToken.None);

        await TestTimeouts.UntilAsync(() => Source.Reserves == atATime);
        opening.IsCompleted.Should().BeFalse();
        gate.SetResult();
        await opening.DefaultTimeout();

        Source.Reserves.Should().Be(5);
        sut.GetSnapshot().ReservedBytes.Should().Be((9 * MiB) / 2);
        reports.Select(report => report.ReadyBytes).Should().BeInAscendingOrder().And.OnlyHaveUniqueItems();
        reports[^1].Should().Be(new PinProgress((9 * MiB) / 2, (9 * MiB) / 2), "InitialBytes are rounded up to slabs, and never more than all are ready");
    }

    [Theory]
    [InlineData(false, 1, 0)]
    [InlineData(false, 3, 2)]
    [InlineData(true, 1, 0)]
    [InlineData(true, 2, 0)]
    public async Task Open_ASlabIsRefused_ThrowsAndKeepsWhatThereIs(bool opensAhead, int refused, int kept)
    {
        var gate = new TaskCompletionSource();
        Source.Gate = gate.Task;
        Source.FailingReserves.Add(refused);
        using var sut = CreateSut(capacityBytes: 4 * MiB, initialBytes: 4 * MiB, time: Time, opensAhead: opensAhead);
        var opening = sut.OpenAsync(null, CancellationToken.None);
        await TestTimeouts.UntilAsync(() => Source.Reserves == (opensAhead ? 2 : 1));
        gate.SetResult();

        (await opening.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<MemorySourceException>()).WithMessage("*told to fail*");

        sut.GetSnapshot().ReservedBytes.Should().Be(Source.ReservedBytes).And.BeGreaterThanOrEqualTo(kept * MiB).And.BeLessThan(4 * MiB);
        Time.Advance(TimeSpan.FromSeconds(1));
        await sut.OpenAsync(null, CancellationToken.None).DefaultTimeout();
        sut.GetSnapshot().ReservedBytes.Should().Be(4 * MiB, "a second try takes what is missing");
    }

    [Fact]
    public async Task Open_MoreThanTheMachineHas_IsRefusedBeforeTheFirstSlab()
    {
        using var sut = PinnedPoolFactory.CreateLocal(
            "huge", new LocalPinnedPoolOptions { CapacityBytes = 1L << 46, InitialBytes = 1L << 46, SlabBytes = MiB }, Logger);

        (await sut.Awaiting(pool => pool.OpenAsync(null, CancellationToken.None).DefaultTimeout())
            .Should().ThrowAsync<MemorySourceException>()).Which.RequestedBytes.Should().Be(1L << 46);

        sut.GetSnapshot().ReservedBytes.Should().Be(0);
    }

    [Fact]
    public void Rent_GrowsSlabBySlabUpToTheCapacity()
    {
        using var sut = CreateSut(capacityBytes: (5 * MiB) / 2);
        using var a = sut.Rent(MiB);
        using var b = sut.Rent(MiB);
        sut.GetSnapshot().LargestFreeBytes.Should().Be(MiB / 2, "half a slab of capacity is left");
        using var c = sut.Rent(MiB / 2);

        sut.TryRent(1, out _).Should().BeFalse();

        Source.PeakReservedBytes.Should().Be((5 * MiB) / 2);
        sut.Capabilities.Should().Be(PoolCapabilities.PageLocked);
    }

    [Fact]
    public void Rent_ABlockOfTheSlabSize_AlwaysFitsAnEmptyPool()
    {
        using var sut = CreateSut(capacityBytes: (5 * MiB) / 2);
        for (var round = 0; round < 5; round++)
        {
            var leases = new[] { sut.Rent(MiB), sut.Rent(MiB), sut.Rent(MiB / 2) };
            Array.ForEach(leases, lease => lease.Dispose());
            sut.Trim(keepBytes: MiB / 2);

            sut.Rent(MiB).Dispose();
        }
    }

    [Fact]
    public void Rent_BetweenSlabAndCapacity_SaysThatItNeverFits()
    {
        using var sut = CreateSut();

        var error = sut.Invoking(pool => pool.Rent(MiB + 1)).Should().Throw<PinnedMemoryExhaustedException>().Which;

        error.IsTransient.Should().BeFalse();
        error.Message.Should().Contain("SlabBytes").And.Contain("1048576 B");
        Source.Reserves.Should().Be(0);
    }

    [Fact]
    public async Task Rent_SourceRefuses_SaysNoMemoryAndWhyAndRecovers()
    {
        Source.FailingReserves.UnionWith([1]);
        using var sut = CreateSut(time: Time);

        var error = sut.Invoking(pool => pool.Rent(1)).Should().Throw<PinnedMemoryExhaustedException>().Which;
        error.Cause.Should().Be(ExhaustionCause.NoMemory);
        error.InnerException.Should().BeOfType<MemorySourceException>();
        error.Message.Should().Contain("told to fail");
        sut.TryRent(1, out _).Should().BeFalse();
        Logger.Entries.Should().ContainSingle(entry => entry.Id == 1003, "an answer without a reason must leave one in the log");
        (await sut.Awaiting(pool => pool.RentAsync(1).AsTask().DefaultTimeout()).Should().ThrowAsync<PinnedMemoryExhaustedException>())
            .Which.Cause.Should().Be(ExhaustionCause.NoMemory, "nothing is out that could come back, so it does not wait");
        Source.Reserves.Should().Be(1, "each try may populate a slab first, so a refusal is remembered for a second");
        Time.Advance(TimeSpan.FromSeconds(1));
        using var lease = sut.Rent(1);

        sut.GetSnapshot().ReservedBytes.Should().Be(MiB);
        sut.GetSnapshot().LiveLeases.Should().Be(1);
        Source.ReservedBytes.Should().Be(MiB);
    }

    [Fact]
    public void Rent_WhenPiecesAreScattered_SaysFragmented()
    {
        using var sut = CreateSut(capacityBytes: MiB);
        var leases = Enumerable.Range(0, 16).Select(_ => sut.Rent(65536)).ToList();
        for (var i = 0; i < 16; i += 2)
        {
            leases[i].Dispose();
        }

        var error = sut.Invoking(pool => pool.Rent(65537)).Should().Throw<PinnedMemoryExhaustedException>().Which;

        error.Cause.Should().Be(ExhaustionCause.Fragmented);
        error.Snapshot.LargestFreeBytes.Should().Be(65536);
        leases.ForEach(lease => lease.Dispose());
    }

    [Fact]
    public async Task Rent_DuringAnothersGrowth_WaitsForItInsteadOfFailing()
    {
        var gate = new TaskCompletionSource();
        Source.Gate = gate.Task;
        using var sut = CreateSut(capacityBytes: MiB);
        var first = Task.Run(() => sut.Rent(1000));
        await TestTimeouts.UntilAsync(() => Source.Reserves == 1);
        var second = Task.Run(() => sut.Rent(1000));
        var third = sut.RentAsync(1000).AsTask();

        gate.SetResult();

        var leases = await Task.WhenAll(first, second, third).DefaultTimeout();
        Source.Reserves.Should().Be(1);
        sut.GetSnapshot().LiveLeases.Should().Be(3);
        Array.ForEach(leases, lease => lease.Dispose());
    }

    [Fact]
    public async Task Rent_SeveralWantTheLastSlab_OneGetsItAndTheOthersAreToldAtOnce()
    {
        var gate = new TaskCompletionSource();
        Source.Gate = gate.Task;
        using var sut = CreateSut(capacityBytes: MiB);
        var rents = Enumerable.Range(0, 4).Select(_ => Task.Run(() => sut.TryRent(MiB, out var lease) ? lease : null)).ToList();
        await TestTimeouts.UntilAsync(() => Source.Reserves == 1);
        gate.SetResult();

        var leases = await Task.WhenAll(rents).DefaultTimeout();

        leases.OfType<PinnedLease>().Should().ContainSingle().Which.Dispose();
    }

    [Fact]
    public async Task RentAsync_TheIdleSlabIsTrimmedJustBeforeItWaits_GrowsThePoolAgain()
    {
        using var sut = CreateSut(capacityBytes: MiB);
        for (var round = 0; round < 300; round++)
        {
            var all = sut.Rent(MiB);
            var waiting = Task.Run(() => sut.RentAsync(MiB).AsTask());
            var free = Task.Run(all.Dispose);
            var trim = Task.Run(() => sut.Trim());
            await Task.WhenAll(free, trim).DefaultTimeout();

            (await waiting.WaitAsync(TimeSpan.FromSeconds(4))).Dispose(); // the pool's own RentTimeout is 5 s
        }
    }

    [Fact]
    public async Task Trim_UnpinFails_QuarantinesTheSlabAndKeepsItsQuota()
    {
        Source.FailingReleases.Add(1);
        using var sut = CreateSut(capacityBytes: 2 * MiB);
        var leases = new[] { sut.Rent(MiB), sut.Rent(MiB) };
        leases[0].Dispose();

        sut.Trim().Should().Be(0);

        sut.GetSnapshot().Should().Match<PoolSnapshot>(s =>
            s.QuarantinedBytes == MiB && s.ReservedBytes == 2 * MiB && s.FreeBytes == 0 && s.LargestFreeBytes == 0);
        Logger.Entries.Should().ContainSingle(entry => entry.Id == 1004);
        sut.TryRent(1, out _).Should().BeFalse("its quota is not given back");
        leases[1].Dispose();
        sut.Trim().Should().Be(MiB);
        await sut.DisposeAsync().AsTask().DefaultTimeout();
    }

    [Fact]
    public async Task Dispose_WhileItOpens_EndsTheOpening()
    {
        Source.Gate = new TaskCompletionSource().Task;
        var sut = CreateSut(initialBytes: 4 * MiB, opensAhead: true);
        var opening = sut.OpenAsync(null, CancellationToken.None);
        await TestTimeouts.UntilAsync(() => Source.Reserves == 2);

        await sut.DisposeAsync().AsTask().DefaultTimeout();

        await opening.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<ObjectDisposedException>();
        Source.ReservedBytes.Should().Be(0);
    }

    [Fact]
    public async Task RentAsync_CancelledDuringGrowth_Throws()
    {
        Source.Gate = new TaskCompletionSource().Task;
        using var sut = CreateSut();
        using var cancellation = new CancellationTokenSource();
        var rent = sut.RentAsync(1000, 256, cancellation.Token).AsTask();
        await TestTimeouts.UntilAsync(() => Source.Reserves == 1);

        await cancellation.CancelAsync();

        await rent.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        Source.Gate = null;
        using var lease = sut.Rent(1000);
    }

    [Fact]
    public void Trim_GivesBackIdleSlabsOnlyAndKeepsWhatIsAsked()
    {
        using var sut = CreateSut();
        var leases = Enumerable.Range(0, 4).Select(_ => sut.Rent(MiB)).ToList();
        leases[0].Dispose();
        leases[2].Dispose();
        leases[3].Dispose();

        sut.Trim(keepBytes: 2 * MiB).Should().Be(2 * MiB);
        sut.GetSnapshot().ReservedBytes.Should().Be(2 * MiB);
        sut.Trim().Should().Be(MiB);
        sut.Trim().Should().Be(0, "the last slab has a live lease");

        Source.ReservedBytes.Should().Be(MiB);
        leases[1].Dispose();
    }

    [Fact]
    public async Task Rent_WhileTheOnlySlabIsGivenBack_WaitsForItsQuotaInsteadOfFailing()
    {
        var gate = new TaskCompletionSource();
        Source.ReleaseGate = gate.Task;
        using var sut = CreateSut(capacityBytes: MiB);
        sut.Rent(1000).Dispose();
        var trimming = Task.Run(() => sut.Trim());
        await TestTimeouts.UntilAsync(() => sut.GetSnapshot() is { LargestFreeBytes: 0, UsedBytes: 0 });
        PinnedLease? lease = null;
        var thread = new Thread(() => sut.TryRent(1000, out lease));
        thread.Start();
        await TestTimeouts.UntilAsync(() => !thread.IsAlive || thread.ThreadState.HasFlag(ThreadState.WaitSleepJoin));
        var renting = sut.RentAsync(1000).AsTask();
        thread.IsAlive.Should().BeTrue("there will be room when the trim has ended");
        sut.GetSnapshot().WaitingRents.Should().Be(0, "it waits for the trim, not for a lease that nobody has");
        sut.GetSnapshot().ReservedBytes.Should().Be(MiB, "the bytes count until they are gone");

        gate.SetResult();

        (await trimming.DefaultTimeout()).Should().Be(MiB);
        (await renting.DefaultTimeout()).Dispose();
        thread.Join(TimeSpan.FromSeconds(30)).Should().BeTrue();
        lease!.Dispose();
        Source.PeakReservedBytes.Should().Be(MiB);
    }

    [Fact]
    public async Task GrowTrimRentConcurrently_NeverExceedsTheCapacityAndNeverFailsFalsely()
    {
        using var sut = CreateSut(capacityBytes: 2 * MiB);
        var workers = Enumerable.Range(0, 3).Select(id => Task.Run(() =>
        {
            for (var i = 0; i < 2000; i++)
            {
                if (id == 0)
                {
                    sut.Trim();
                }
                else
                {
                    sut.Rent(MiB).Dispose(); // two renters, two slabs: there is always room
                }
            }
        }));

        await Task.WhenAll(workers).DefaultTimeout();

        Source.PeakReservedBytes.Should().BeLessThanOrEqualTo(2 * MiB);
    }

    private sealed class Reports(List<PinProgress> reports) : IProgress<PinProgress>
    {
        public void Report(PinProgress value) => reports.Add(value);
    }
}
