using LpLlm.Memory.Statistics;
using LpLlm.Memory.Tests.Pooling;
using LpLlm.Memory.Wrappers;

namespace LpLlm.Memory.Tests.Wrappers;

public class StatisticsPoolTests
{
    private readonly ManualTimeProvider _time = new();
    private readonly PoolRecorder _recorder;

    public StatisticsPoolTests() => _recorder = new PoolRecorder(_time);

    [Fact]
    public void Rent_IsCountedWithItsBytesAndItsTime()
    {
        using var sut = new StatisticsPool(new FakePool { Renting = bytes => _time.Advance(TimeSpan.FromMicroseconds(bytes)) }, _recorder);

        sut.Rent(10).Dispose();
        sut.TryRent(30, out var lease).Should().BeTrue();
        sut.Rent(20).Dispose();

        var statistics = _recorder.GetStatistics();
        statistics.Rent.Count.Should().Be(3);
        statistics.Rent.MaxNanoseconds.Should().Be(30_000);
        ((double)statistics.Rent.P50Nanoseconds).Should().BeApproximately(20_000, 20_000 / 63.0);
        statistics.RentedBytes.Should().Be(60);
        statistics.ReturnedBytes.Should().Be(30);
        statistics.Return.Count.Should().Be(2);
        lease!.Dispose();
    }

    [Fact]
    public async Task RentAsync_TheWaitIsPartOfItsTime()
    {
        using var sut = new StatisticsPool(TestPools.Limit(new FakePool(), 100), _recorder);
        var all = sut.Rent(100);
        var waiting = sut.RentAsync(50).AsTask();
        _time.Advance(TimeSpan.FromSeconds(3));

        all.Dispose();
        (await waiting.DefaultTimeout()).Dispose();
        (await sut.RentAsync(50).DefaultTimeout()).Dispose();

        var statistics = _recorder.GetStatistics();
        statistics.RentAsync.Count.Should().Be(2);
        statistics.RentAsync.MaxNanoseconds.Should().Be(3_000_000_000);
        statistics.RentAsync.P50Nanoseconds.Should().Be(0);
        statistics.WaitedRents.Should().Be(1);
    }

    [Fact]
    public async Task Failures_AreCountedByCause()
    {
        using var sut = new StatisticsPool(
            new LimitedPool(new FakePool(), new LimitOptions { LimitBytes = 100, FenceTimeout = TimeSpan.Zero }, new CollectingLogger()), _recorder);
        var lease = sut.Rent(100);
        sut.Invoking(pool => pool.Rent(1)).Should().Throw<PinnedMemoryExhaustedException>();
        sut.TryRent(1, out _).Should().BeFalse();
        await sut.Awaiting(pool => pool.RentAsync(new RentRequest(1) { Timeout = TimeSpan.FromMilliseconds(200) }).AsTask())
            .Should().ThrowAsync<PinnedMemoryExhaustedException>();
        using var cancellation = new CancellationTokenSource();
        var waiting = sut.RentAsync(1, 256, cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await waiting.Awaiting(task => task).Should().ThrowAsync<OperationCanceledException>();
        lease.ReturnAfter(new VirtualFence());
        sut.Invoking(pool => pool.Rent(1)).Should().Throw<PinnedMemoryExhaustedException>();
        sut.Invoking(pool => pool.Rent(0)).Should().Throw<ArgumentOutOfRangeException>();
        sut.Dispose();
        sut.Invoking(pool => pool.Rent(1)).Should().Throw<ObjectDisposedException>();

        _recorder.GetStatistics().Should().Match<PoolStatistics>(s => s.FailedByLimit == 2 && s.RefusedTryRents == 1 && s.TimedOutRents == 1
            && s.CanceledRents == 1 && s.FailedByPending == 1 && s.FailedByError == 1 && s.FailedByNoMemory == 0 && s.WaitedRents == 2);
    }

    [Fact]
    public async Task ManyThreads_CountsAreExact()
    {
        var recorder = new PoolRecorder();
        using var sut = new StatisticsPool(new FakePool(), recorder);
        var threads = Enumerable.Range(1, 4).Select(length => Task.Run(() =>
        {
            for (var i = 0; i < 5000; i++)
            {
                sut.Rent(length).Dispose();
            }
        }));

        await Task.WhenAll(threads).DefaultTimeout();

        recorder.GetStatistics().Should().Match<PoolStatistics>(s => s.Rent.Count == 20_000 && s.Return.Count == 20_000
            && s.RentedBytes == 50_000 && s.ReturnedBytes == 50_000 && s.Rent.MaxNanoseconds >= s.Rent.P999Nanoseconds);
    }

    [Fact]
    public void RentAndReturn_AllocateNothingButTheLease()
    {
        using var sut = new StatisticsPool(new FakePool(), _recorder);
        for (var i = 0; i < 1000; i++)
        {
            sut.Rent(256).Dispose(); // every processor's row of counters, most likely
        }

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            sut.Rent(256).Dispose();
        }

        (GC.GetAllocatedBytesForCurrentThread() - before).Should().BeLessThan(
            (1000 * 64) + 100_000, "a lease is 64 B; a row of counters may still be made");
    }

    [Fact]
    public async Task S9_Metrics_ShowUsageLimitLeasesWaitsAndFailures()
    {
        using var probe = new MetricProbe(PoolMeter.MeterName, "s9");
        using var sut = new StatisticsPool(TestPools.Limit(new FakePool("s9"), 100), _recorder);
        var lease = sut.Rent(70);
        sut.TryRent(31, out _).Should().BeFalse();
        var waiting = sut.RentAsync(40).AsTask();

        probe.Collect();

        probe.Last.Should().Contain(new KeyValuePair<string, double>[]
        {
            new("lpllm.pool.usage[By]{used}", 70), new("lpllm.pool.usage[By]{free}", 30), new("lpllm.pool.usage[By]{pending}", 0),
            new("lpllm.pool.limit[By]", 100), new("lpllm.pool.leases[{lease}]", 1), new("lpllm.pool.pending_requests[{request}]", 1),
            new("lpllm.pool.rented[By]", 70), new("lpllm.pool.failures[{request}]{refused}", 1), new("lpllm.pool.timeouts[{timeout}]", 0),
        });
        _time.Advance(TimeSpan.FromSeconds(2));
        lease.Dispose();
        (await waiting.DefaultTimeout()).Dispose();

        probe.Last["lpllm.pool.wait_time[s]"].Should().Be(2);
        probe.CountOf("lpllm.pool.wait_time[s]").Should().Be(1);
    }

    [Fact]
    public void Dispose_TakesTheInstrumentsAway()
    {
        using var probe = new MetricProbe(PoolMeter.MeterName, "gone");
        var sut = new StatisticsPool(new FakePool("gone"), _recorder);
        probe.Collect();
        probe.Last.Should().NotBeEmpty();

        sut.Dispose();

        probe.Collect();
        probe.Last.Should().BeEmpty();
    }
}
