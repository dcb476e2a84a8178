using LpLlm.Memory.Pooling;
using LpLlm.Memory.TestKit.Replay;
using LpLlm.Memory.Wrappers.Tracing;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.Wrappers;

public sealed class TracingPoolContract : AnySizePoolContract, IDisposable
{
    private readonly TraceFile _file = new();

    public void Dispose() => _file.Dispose();

    protected override IPinnedMemoryPool Create(int blocks) => new TracingPool(
        PinnedPoolFactory.CreateLocal(
            "traced", new LocalPinnedPoolOptions { CapacityBytes = blocks * BlockBytes, AllowPageable = true }, NullLogger.Instance),
        _file.Options,
        NullLogger.Instance);
}

public sealed class TracingPoolTests : Pooling.PoolFixture, IDisposable
{
    private readonly TraceFile _file = new();

    public void Dispose() => _file.Dispose();

    [Fact]
    public async Task EveryEvent_StandsInTheFile_InOrder()
    {
        await using (var sut = Trace(CreateSut(time: Time)))
        {
            var first = sut.Rent(1000, 4096);
            var second = await sut.RentAsync(new RentRequest(2000)).DefaultTimeout();
            sut.TryRent(8 * MiB, out _).Should().BeFalse();
            sut.Invoking(s => s.Rent(9 * MiB)).Should().Throw<PinnedMemoryExhaustedException>();
            first.Dispose();
            var completed = new VirtualFence();
            completed.Complete();
            second.ReturnAfter(completed);
            sut.Rent(1000).Dispose();
        }

        var thread = Environment.CurrentManagedThreadId;
        _file.Lines().Select(line => WithoutTimeAndThread(line)).Should().Equal(
            "sequence,op,lease,length_bytes,alignment_bytes",
            "1,rent,1,1000,4096",
            "2,rent_async,2,2000,256",
            "3,fail,,8388608,256",
            "4,fail,,9437184,256",
            "5,return,1,1000,",
            "6,return_after,2,2000,",
            "7,rent,3,1000,256",
            "8,return,3,1000,",
            "9,end,,,");
        _file.Lines()[1].Split(',')[2].Should().Be($"{thread}");
        _file.Read().IsComplete.Should().BeTrue();
    }

    [Fact]
    public async Task RentAsync_CancelledWait_IsAFailure()
    {
        using (var sut = Trace(CreateSut(capacityBytes: MiB)))
        {
            using var cancellation = new CancellationTokenSource();
            using var all = sut.Rent(MiB);
            var waiting = sut.RentAsync(new RentRequest(1), cancellation.Token).AsTask();
            await cancellation.CancelAsync();
            await waiting.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        }

        _file.Read().Failures.Should().Be(1);
    }

    [Fact]
    public void Return_StandsBeforeARentOfTheSameAddressThatOvertakesIt()
    {
        TracingPool? sut = null;
        PinnedLease? next = null;
        using (sut = Trace(new HookedPool(CreateSut(capacityBytes: MiB), () => next ??= sut!.Rent(MiB))))
        {
            sut.Rent(MiB).Dispose();
            next!.Dispose();
        }

        _file.Lines().Skip(1).Select(line => string.Join(',', line.Split(',')[3..5])).Should().Equal("rent,1", "return,1", "rent,2", "return,2", "end,");
    }

    [Fact]
    public async Task ManyThreads_AReturnAlwaysStandsBeforeTheNextRentOfItsAddress()
    {
        // 8 blocks and 4 threads: addresses change hands all the time. The reader refuses a lease that is rented or returned twice.
        var trace = await RecordAsync(threads: 4, rounds: 20_000, capacityBytes: MiB);

        trace.IsComplete.Should().BeTrue();
        trace.Returns.Should().Be(trace.Rents).And.BeGreaterThan(10_000);
        trace.PeakBytes.Should().BeLessThanOrEqualTo(MiB);
        trace.Events.Select(e => e.Thread).Distinct().Should().HaveCountGreaterThan(1);
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(1, true)]
    [InlineData(4, false)]
    [InlineData(4, true)]
    public async Task Replay_OfAConcurrentRun_HasNoMismatch(int threads, bool firstFit)
    {
        var trace = await RecordAsync(threads: 4, rounds: 3000, capacityBytes: 16 * MiB);
        using var pool = new PinnedPool(
            new PinnedPoolSettings { Name = "replay", CapacityBytes = 1L << 40, SlabBytes = 1L << 40 },
            new SimulatedMemorySource(),
            NullLogger.Instance,
            createAllocator: firstFit ? bytes => new FirstFitAllocator(bytes) : null);

        var result = await Task.Run(() => TraceReplayer.Run(trace, pool, threads)).DefaultTimeout();

        result.Rents.Should().Be(trace.Rents);
        result.Returns.Should().Be(trace.Returns);
        result.NewFailures.Should().Be(0);
        (result.GenuineFailures + result.AvoidedFailures).Should().Be(trace.Failures);
        result.PeakBytes.Should().Match(peak => threads == 1 ? peak == trace.PeakBytes : peak <= trace.PeakBytes && peak > 0);
        result.Nanoseconds.Should().HaveCount(trace.Rents + trace.Returns + trace.Failures);
        pool.GetSnapshot().LiveLeases.Should().Be(0);
    }

    [Fact]
    public void Add_FullBuffer_LosesAndSaysSo()
    {
        using (var sut = new TraceWriter("sut", new TracingOptions { Path = _file.Path, BufferedEventCount = 1024 }, Logger, TimeProvider.System))
        {
            // The writer looks every 5 ms; a ring of 1024 is filled in a hundredth of that.
            for (var i = 0; !Logger.Entries.Any(entry => entry.Id == 1051); i++)
            {
                sut.Add(TracedOperation.Fail, 0, 1 + (i % 1000), 256);
                i.Should().BeLessThan(int.MaxValue, "losses must be logged");
            }
        }

        Logger.Entries.Should().ContainSingle(entry => entry.Id == 1051);
        _file.Invoking(f => f.Read()).Should().Throw<TraceFormatException>()
            .Which.Message.Should().Contain("are missing").And.Contain("BufferedEventCount").And.Contain("column 1");
    }

    [Fact]
    public async Task MaxBytes_StopsTheTraceNotThePool_AndWhatIsThereReplays()
    {
        await using (var sut = Trace(CreateSut(), new TracingOptions { Path = _file.Path, MaxBytes = 4096 }))
        {
            for (var i = 0; i < 1000; i++)
            {
                sut.Rent(1000).Dispose();
            }

            sut.GetSnapshot().TotalRents.Should().Be(1000);
        }

        new FileInfo(_file.Path).Length.Should().BeLessThanOrEqualTo(4096).And.BeGreaterThan(3000);
        _file.Read().IsComplete.Should().BeTrue();
        Logger.Entries.Should().ContainSingle(entry => entry.Id == 1052).Which.Message.Should().Contain("4096");
    }

    [SkippableFact]
    public void FullDisk_LeavesThePoolWorking_AndFailsItsDisposal()
    {
        Skip.IfNot(File.Exists("/dev/full"), "needs Linux's /dev/full");
        var sut = Trace(CreateSut(), new TracingOptions { Path = "/dev/full" });
        using (sut.Rent(1000))
        {
            SpinWait.SpinUntil(() => Logger.Entries.Any(entry => entry.Id == 1050), TimeSpan.FromSeconds(30)).Should().BeTrue();
            sut.Rent(1000).Dispose();
        }

        var error = sut.Invoking(s => s.Dispose()).Should().Throw<TraceException>().Which;

        error.Message.Should().Contain("/dev/full").And.Contain("'sut'");
        error.InnerException.Should().BeOfType<IOException>();
        Logger.Entries.Should().ContainSingle(entry => entry.Id == 1050);
        Source.ReservedBytes.Should().Be(0, "the pool itself was disposed");
        sut.Dispose();
    }

    [SkippableFact]
    public void Dispose_LeaseIsLiveAndTheDiskIsFull_ReportsBoth()
    {
        Skip.IfNot(File.Exists("/dev/full"), "needs Linux's /dev/full");
        var refusal = new InvalidOperationException("one lease is live");
        var sut = Trace(new UndisposablePool(refusal), new TracingOptions { Path = "/dev/full" });

        var error = sut.Invoking(s => s.Dispose()).Should().Throw<AggregateException>().Which;

        error.InnerExceptions.Should().Contain(refusal).And.ContainSingle(inner => inner is TraceException).And.HaveCount(2);
        error.Message.Should().Contain("one lease is live").And.Contain("/dev/full");
    }

    [Fact]
    public void Create_BadPath_IsATypedErrorThatNamesIt()
    {
        using var inner = CreateSut();

        var create = () => Trace(inner, new TracingOptions { Path = "/nowhere/at/all.csv" });

        create.Should().Throw<TraceException>().Which.Message.Should().Contain("/nowhere/at/all.csv");
    }

    [Fact]
    public void Create_BadOptions_NamesEachValue()
    {
        using var inner = CreateSut();

        var create = () => Trace(inner, new TracingOptions { Path = " ", MaxBytes = 5, BufferedEventCount = 1500 });

        create.Should().Throw<ArgumentException>().Which.Message.Should().Contain("Pool 'sut'").And.Contain("Path is ' '")
            .And.Contain("MaxBytes is 5").And.Contain("BufferedEventCount is 1500");
    }

    [Fact]
    public void RentAndReturn_AllocateTheLeaseOnly()
    {
        using var sut = Trace(CreateSut());
        for (var i = 0; i < 200; i++)
        {
            sut.Rent(1000).Dispose();
        }

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            sut.Rent(1000).Dispose();
        }

        (GC.GetAllocatedBytesForCurrentThread() - before).Should().BeLessThanOrEqualTo(64 * 1000);
    }

    private TracingPool Trace(IPinnedMemoryPool inner, TracingOptions? options = null) => new(inner, options ?? _file.Options, Logger);

    private async Task<Trace> RecordAsync(int threads, int rounds, long capacityBytes)
    {
        await using (var sut = Trace(CreateSut(capacityBytes, slabBytes: capacityBytes), new TracingOptions { Path = _file.Path, BufferedEventCount = 1 << 18 }))
        {
            using var start = new Barrier(threads);
            var handedOn = new System.Collections.Concurrent.ConcurrentQueue<PinnedLease>();
            await Task.WhenAll(Enumerable.Range(1, threads).Select(id => Task.Factory.StartNew(
                () =>
                {
                    start.SignalAndWait(TimeSpan.FromSeconds(30));
                    var random = new Random(id);
                    for (var i = 0; i < rounds; i++)
                    {
                        if (random.Next(2) == 0 && sut.TryRent(random.Next(1, 200_000), out var lease))
                        {
                            handedOn.Enqueue(lease);
                        }
                        else if (handedOn.TryDequeue(out var other))
                        {
                            other.Dispose();
                        }
                    }
                },
                TaskCreationOptions.LongRunning))).DefaultTimeout();
            foreach (var rest in handedOn)
            {
                rest.Dispose();
            }
        }

        return _file.Read();
    }

    private static string WithoutTimeAndThread(string line)
    {
        var fields = line.Split(',');
        return string.Join(',', fields.Take(1).Concat(fields.Skip(3)));
    }
}
