using System.Runtime.CompilerServices;
using LpLlm.Memory.Pooling;
using LpLlm.Memory.Sources;
using LpLlm.Memory.Wrappers.Leaks;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.Wrappers;

/// <summary>
/// Without guards, which take room that the contract's capacities do not have, and without quarantine, around which blocks come to lie
/// so that the last of 16 may not fit. Both have their tests below.
/// </summary>
public sealed class LeakDetectingPoolContract : AnySizePoolContract, IDisposable
{
    private readonly LeakDetector _detector = new(
        new LeakDetectionOptions { GuardBytes = 0, QuarantineBytes = 0, CaptureStacks = false }, NullLogger.Instance);

    /// <summary>The contract itself returns a lease twice here and there; anything else would be a false report.</summary>
    public void Dispose() => _detector.GetFaults().Should().NotContain(fault => fault.Kind != LeaseFaultKind.DoubleReturn);

    protected override IPinnedMemoryPool Create(int blocks) => new LeakDetectingPool(
        PinnedPoolFactory.CreateLocal(
            "watched", new LocalPinnedPoolOptions { CapacityBytes = blocks * BlockBytes, AllowPageable = true }, NullLogger.Instance),
        _detector);
}

public sealed class LeakDetectingPoolTests : IDisposable
{
    private const long MiB = 1 << 20;

    private readonly CollectingLogger _logger = new();
    private readonly ManualTimeProvider _time = new();
    private readonly List<IDisposable> _pools = [];

    private LeakDetector Detector { get; set; } = null!;

    public void Dispose() => _pools.ForEach(pool => pool.Dispose());

    [Fact]
    public void CleanUse_ReportsNothing()
    {
        var sut = CreateSut();
        foreach (var length in new long[] { 1, 255, 256, 257, 100_000 })
        {
            var lease = sut.Rent(length, 4096);
            (lease.Address % 4096).Should().Be(0);
            lease.AsSpan<byte>().Fill(0xFF);
            lease.Dispose();
        }

        sut.Trim();
        sut.Dispose();
        Detector.GetFaults().Should().BeEmpty();
        _logger.Entries.Where(entry => entry.Id == 1053).Should().BeEmpty();
    }

    [Theory]
    [InlineData(-1, LeaseFaultKind.Underrun)]
    [InlineData(-256, LeaseFaultKind.Underrun)]
    [InlineData(1001, LeaseFaultKind.Overrun)]
    [InlineData(1256, LeaseFaultKind.Overrun)]
    public unsafe void WriteIntoAGuard_IsReportedAtReturn(long offset, LeaseFaultKind kind)
    {
        var lease = CreateSut().Rent(1001, 4096);
        ((byte*)lease.Address)[offset] = 1;

        ReturnHere(lease);

        var fault = Detector.GetFaults().Should().ContainSingle().Which;
        fault.Kind.Should().Be(kind);
        fault.DamageOffsetBytes.Should().Be(offset);
        fault.LengthBytes.Should().Be(1001);
        fault.PoolName.Should().Be("sut");
        fault.RentedAt.Should().Contain(nameof(WriteIntoAGuard_IsReportedAtReturn));
        fault.ReturnedAt.Should().Contain(nameof(ReturnHere));
        _logger.Entries.Should().ContainSingle(entry => entry.Id == 1053)
            .Which.Message.Should().Contain($"{kind}").And.Contain($"{offset}").And.Contain(nameof(ReturnHere));
    }

    [Fact]
    public unsafe void C5_WriteAfterReturn_IsReportedWithBothStacks()
    {
        var sut = CreateSut();
        var lease = sut.Rent(1000);
        var stray = (byte*)lease.Address;
        ReturnHere(lease);
        stray[17].Should().Be(0xDD, "returned memory is poisoned");
        stray[17] = 1;
        Detector.GetFaults().Should().BeEmpty("the block is still in quarantine");

        sut.Trim();

        var fault = Detector.GetFaults().Should().ContainSingle().Which;
        fault.Kind.Should().Be(LeaseFaultKind.WriteAfterReturn);
        fault.DamageOffsetBytes.Should().Be(17);
        fault.RentedAt.Should().Contain(nameof(C5_WriteAfterReturn_IsReportedWithBothStacks));
        fault.ReturnedAt.Should().Contain(nameof(ReturnHere));
    }

    [Fact]
    public void C5_ViewsAndSlices_KeepTheLease_AndADoubleReturnIsVisible()
    {
        var sut = CreateSut();
        var memory = RentAsSlice(sut);
        _pools.Clear(); // its disposal fails: only the slice knows the lease
        Collect();
        Detector.GetFaults().Should().BeEmpty("a slice of a view holds the lease");
        memory.Span.Fill(7);

        var lease = sut.Rent(1000);
        ReturnHere(lease);
        lease.Dispose();
        lease.Invoking(l => l.ReturnAfter(new VirtualFence())).Should().Throw<ObjectDisposedException>();

        Detector.GetFaults().Should().HaveCount(2).And.OnlyContain(fault => fault.Kind == LeaseFaultKind.DoubleReturn
            && fault.ReturnedAt!.Contains(nameof(ReturnHere))
            && fault.ReturnedAgainAt!.Contains(nameof(C5_ViewsAndSlices_KeepTheLease_AndADoubleReturnIsVisible)));
        sut.GetSnapshot().LiveLeases.Should().Be(1, "the second return had no effect");
        GC.KeepAlive(memory);
    }

    [Fact]
    public void L1_ReturnOfALeaseThatIsNotOut_IsNeverSilent()
    {
        // What the original's free() passes over: the block was returned, and belongs to somebody else by now.
        var sut = CreateSut(o => o.QuarantineBytes = 0);
        var stale = sut.Rent(1000);
        stale.Dispose();
        using var current = sut.Rent(1000);
        current.AsSpan<byte>().Fill(7);

        stale.Dispose();

        Detector.GetFaults().Should().ContainSingle().Which.Kind.Should().Be(LeaseFaultKind.DoubleReturn);
        current.AsSpan<byte>().IndexOfAnyExcept((byte)7).Should().Be(-1, "the other's block is untouched");
        sut.GetSnapshot().LiveLeases.Should().Be(1);
    }

    [Fact]
    public async Task C9_DroppedLease_IsReportedWithTheRentersStack_AndKeepsItsMemory()
    {
        var sut = CreateSut();
        RentAndReturn(sut); // its tracker must not speak, and would before the other's
        Collect();
        RentAndForget(sut);

        Collect();
        await TestTimeouts.UntilAsync(() => Detector.GetFaults().Count > 0);

        Detector.GetFaults().Should().ContainSingle().Which.LengthBytes.Should().Be(1000);
        Detector.GetFaults()[0].Kind.Should().Be(LeaseFaultKind.Dropped);
        Detector.GetFaults()[0].RentedAt.Should().Contain(nameof(RentAndForget));
        Detector.GetLiveLeases().Should().ContainSingle().Which.IsDropped.Should().BeTrue();
        sut.GetSnapshot().LiveLeases.Should().Be(1);
        sut.GetSnapshot().UsedBytes.Should().BeGreaterThanOrEqualTo(1000, "a device may still use the memory");
        _pools.Clear(); // its disposal fails: nobody can return the lease
    }

    [Fact]
    public void GetLiveLeases_SaysWhoWhenAndHowLong()
    {
        var sut = CreateSut();
        using var old = sut.Rent(1000);
        _time.Advance(TimeSpan.FromSeconds(3));
        using var young = sut.Rent(2000);

        var live = Detector.GetLiveLeases();

        live.Select(lease => lease.LengthBytes).Should().Equal(1000, 2000);
        live[0].Age.Should().Be(TimeSpan.FromSeconds(3));
        live[0].Address.Should().Be(old.Address);
        live[0].ThreadId.Should().Be(Environment.CurrentManagedThreadId);
        live[0].RentedAt.Should().Contain(nameof(GetLiveLeases_SaysWhoWhenAndHowLong));
        live[0].IsDropped.Should().BeFalse();
    }

    [Fact]
    public async Task C9_Dispose_WithLiveLeases_NamesTheRenters()
    {
        var sut = CreateSut();
        using var lease = await sut.RentAsync(new RentRequest(1000));

        (await sut.Awaiting(s => s.DisposeAsync().AsTask().DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>())
            .Which.Message.Should().Contain("1000 B").And.Contain(nameof(C9_Dispose_WithLiveLeases_NamesTheRenters));

        Detector.GetFaults().Should().ContainSingle().Which.Kind.Should().Be(LeaseFaultKind.LiveAtDisposal);
    }

    [Fact]
    public async Task ReturnAfter_IsCheckedAndPoisonedOnlyBehindTheFence()
    {
        var sut = CreateSut();
        var fence = new VirtualFence();
        var address = RentAndReturnAfter(sut, fence);
        Read(address, 0).Should().Be(7, "the device may still read");
        sut.GetSnapshot().PendingBytes.Should().Be(1536, "1000 B and two guards, in units of 256 B");
        sut.GetSnapshot().LiveLeases.Should().Be(0);
        Write(address, 1000);
        Detector.GetFaults().Should().BeEmpty();

        fence.Complete();
        await TestTimeouts.UntilAsync(() => sut.GetSnapshot().PendingBytes == 0);

        Read(address, 0).Should().Be(0xDD);
        Detector.GetFaults().Should().ContainSingle().Which.Kind.Should().Be(LeaseFaultKind.Overrun);
    }

    [Fact]
    public async Task Quarantine_IsGivenUpForARentThatWouldFail()
    {
        var sut = CreateSut(capacityBytes: MiB);
        for (var round = 0; round < 3; round++)
        {
            sut.Rent(MiB - 512).Dispose();
            sut.GetSnapshot().CachedBytes.Should().Be(MiB, "the block is in quarantine");
            sut.TryRent(MiB - 512, out var lease).Should().BeTrue();
            lease!.Dispose();
            (await sut.RentAsync(new RentRequest(MiB - 512) { Timeout = TimeSpan.Zero }).DefaultTimeout()).Dispose();
            (await sut.RentAsync(new RentRequest(MiB - 512)).DefaultTimeout()).Dispose();
        }

        sut.GetSnapshot().FailedRents.Should().Be(0);
        sut.GetSnapshot().UsedBytes.Should().Be(0);
    }

    [Fact]
    public async Task Quarantine_LetsAReturnedBlockThroughToAWaiter()
    {
        var sut = CreateSut(capacityBytes: MiB);
        var all = sut.Rent(MiB - 512);
        var waiting = sut.RentAsync(new RentRequest(MiB - 512)).AsTask();

        all.Dispose();

        (await waiting.DefaultTimeout()).Dispose();
    }

    [Fact]
    public void Rent_NoRoom_SaysWhatWasAskedFor()
    {
        var sut = CreateSut(capacityBytes: MiB);

        var error = sut.Invoking(s => s.Rent(MiB)).Should().Throw<PinnedMemoryExhaustedException>().Which;

        error.RequestedBytes.Should().Be(MiB);
        error.LargestBlockBytes.Should().Be(MiB - 512);
        error.IsTransient.Should().BeFalse();
        sut.GetSnapshot().FailedRents.Should().Be(1);
        sut.GetSnapshot().LargestFreeBytes.Should().Be(MiB - 512);
        sut.Invoking(s => s.Rent(long.MaxValue)).Should().Throw<PinnedMemoryExhaustedException>().Which.RequestedBytes.Should().Be(long.MaxValue);
    }

    [Fact]
    public async Task ManyThreads_WithGuards_NeverOverlapAndReportNothing()
    {
        var sut = CreateSut(capacityBytes: 4 * MiB);
        await Task.WhenAll(Enumerable.Range(1, 4).Select(id => Task.Run(() =>
        {
            var random = new Random(id);
            for (var i = 0; i < 2000; i++)
            {
                if (sut.TryRent(random.Next(1, 100_000), out var lease, 1 << random.Next(0, 13)))
                {
                    lease.AsSpan<byte>().Fill((byte)id);
                    lease.AsSpan<byte>().IndexOfAnyExcept((byte)id).Should().Be(-1);
                    lease.Dispose();
                }
            }
        }))).DefaultTimeout();

        sut.GetSnapshot().UsedBytes.Should().Be(0);
        sut.Dispose();
        Detector.GetFaults().Should().BeEmpty();
    }

    [Fact]
    public void Options_Off_TouchNothing()
    {
        var sut = CreateSut(
            o =>
            {
                o.GuardBytes = 0;
                o.PoisonOnReturn = false;
                o.CaptureStacks = false;
                o.QuarantineBytes = 0;
            },
            source: new SimulatedMemorySource());
        var lease = sut.Rent(1000);
        lease.Dispose();
        lease.Dispose();

        sut.GetSnapshot().CachedBytes.Should().Be(0);
        Detector.GetFaults().Should().ContainSingle().Which.RentedAt.Should().BeNull();
    }

    [Fact]
    public void Create_BadOptions_NamesEachValue()
    {
        var create = () => CreateSut(o =>
        {
            o.GuardBytes = 100;
            o.QuarantineBytes = -1;
        });

        create.Should().Throw<ArgumentException>().Which.Message.Should().Contain("Pool 'sut'")
            .And.Contain("GuardBytes is 100").And.Contain("QuarantineBytes is -1");
    }

    [Fact]
    public void Create_GuardsAroundFixedBlocks_IsRefusedAndNamesTheOption()
    {
        using var blocks = TestPools.Limit(PinnedPoolFactory.CreateFixedBlock(
            "kv",
            new FixedBlockPinnedPoolOptions { BlockBytes = 4096, Blocks = 1024, AllowPageable = true },
            NullLogger.Instance), 4 * MiB);
        var create = (long guardBytes) =>
            new LeakDetectingPool(blocks, new LeakDetector(new LeakDetectionOptions { GuardBytes = guardBytes }, _logger));

        create.Invoking(c => c(256)).Should().Throw<ArgumentException>()
            .Which.Message.Should().Contain("Pool 'kv'").And.Contain("4096 B").And.Contain("GuardBytes is 256").And.Contain("to 0");
        using var sut = create(0);
        sut.Rent(4096).Dispose();
    }

    [Fact]
    public unsafe void TryRent_LongerThanThePool_IsRefusedAndKeepsTheQuarantine()
    {
        var sut = CreateSut();
        var lease = sut.Rent(1000);
        var stray = (byte*)lease.Address;
        lease.Dispose();
        stray[17] = 1;

        sut.TryRent(4 * MiB, out _).Should().BeFalse("with its guards it is longer");

        Detector.GetFaults().Should().BeEmpty("the block is still in quarantine");
        sut.Trim();
        Detector.GetFaults().Should().ContainSingle().Which.Kind.Should().Be(LeaseFaultKind.WriteAfterReturn);
    }

    [Fact]
    public async Task TryRent_OthersRentAndReturnAllTheTime_EndsWithinItsTime()
    {
        LeakDetectingPool sut = null!;
        var rounds = 0;
        var inner = new RefusingPool(TestPools.Local(4 * MiB), refusedBytes: MiB, () =>
        {
            (++rounds).Should().BeLessThan(1000, "it does not go on for ever");
            _time.Advance(TimeSpan.FromSeconds(0.1));
            sut.Rent(1000).Dispose();
        });
        using (sut = new LeakDetectingPool(inner, new LeakDetector(new LeakDetectionOptions { GuardBytes = 0 }, _logger, _time)))
        {
            await Task.Run(() => sut.TryRent(MiB, out _).Should().BeFalse()).DefaultTimeout();
            rounds.Should().BeInRange(2, 20);
        }
    }

    private static void Collect()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void ReturnHere(PinnedLease lease) => lease.Dispose();

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void RentAndReturn(LeakDetectingPool pool) => pool.Rent(500).Dispose();

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void RentAndForget(LeakDetectingPool pool) => pool.Rent(1000).AsSpan<byte>().Clear();

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Memory<byte> RentAsSlice(LeakDetectingPool pool) => pool.Rent(1000).Memory.Slice(100, 10);

    private static nint RentAndReturnAfter(LeakDetectingPool pool, VirtualFence fence)
    {
        var lease = pool.Rent(1000);
        var address = lease.Address;
        lease.AsSpan<byte>().Fill(7);
        lease.ReturnAfter(fence);
        return address;
    }

    private static unsafe byte Read(nint address, int offset) => ((byte*)address)[offset];

    private static unsafe void Write(nint address, int offset) => ((byte*)address)[offset] = 1;

    private LeakDetectingPool CreateSut(
        Action<LeakDetectionOptions>? configure = null, long capacityBytes = 4 * MiB, IMemorySource? source = null)
    {
        var options = new LeakDetectionOptions();
        configure?.Invoke(options);
        Detector = new LeakDetector(options, _logger, _time);
        var inner = new PinnedPool(
            new PinnedPoolSettings { Name = "sut", CapacityBytes = capacityBytes, SlabBytes = capacityBytes, DisposeTimeout = TimeSpan.FromMilliseconds(100) },
            source ?? new HostMemorySource(new HostMemorySettings(), new FakePinner(), NullLogger.Instance),
            NullLogger.Instance);
        var sut = new LeakDetectingPool(inner, Detector);
        _pools.Add(sut);
        return sut;
    }
}
