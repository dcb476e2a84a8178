using LpLlm.Memory.Sources;
using LpLlm.Memory.Sources.Windows;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Windows;

/// <summary>Memory of this process: VirtualAlloc and VirtualLock.</summary>
public sealed class LocalMemoryTests
{
    private const long MiB = 1 << 20;

    [SkippableFact]
    public async Task ReserveAsync_MoreThanTheFirstWorkingSet_IsLocked()
    {
        var source = new HostMemorySource(new HostMemorySettings(), HostMemory.CreatePinner(), NullLogger.Instance);

        using var region = await source.ReserveAsync(96 * MiB).DefaultTimeout();

        region.Capabilities.Should().Be(PoolCapabilities.PageLocked);
        Wine.SkipIfRunning("its working set is a constant");
        MemoryCalls.GetWorkingSet(MemoryCalls.ThisProcess, out var least, out _, out _).Should().BeTrue();
        ((long)least).Should().BeGreaterThanOrEqualTo(96 * MiB);
    }

    [Fact]
    public async Task LocalPool_Rent_IsPageLocked()
    {
        await using var provider = new ServiceCollection().AddLocalPinnedPool(o => o.CapacityBytes = 64 * MiB).Services.BuildServiceProvider();

        using var lease = provider.GetRequiredService<IPinnedMemoryPool>().Rent(48 * MiB);

        lease.AsSpan<byte>().Fill(1);
        lease.Capabilities.Should().HaveFlag(PoolCapabilities.PageLocked);
    }

    [Fact]
    public void Pin_ManyThreads_AllLockAndGiveTheWorkingSetBack()
    {
        var pinner = new VirtualLockPinner();
        var memory = HostMapping.Create(32 * MiB, new PageChoice(PageKind.Small, Environment.SystemPageSize), shared: false);

        Parallel.For(0, 32, i =>
        {
            for (var round = 0; round < 10; round++)
            {
                pinner.Pin(memory.Address + (nint)(i * MiB), MiB);
                pinner.Unpin(memory.Address + (nint)(i * MiB), MiB);
            }
        });

        MemoryCalls.GetWorkingSet(MemoryCalls.ThisProcess, out var least, out _, out _).Should().BeTrue();
        ((long)least).Should().BeLessThan(128 * MiB, "nothing is locked any more");
        memory.Destroy();
    }

    [Fact]
    public async Task ReserveAsync_HugePagesRequired_SaysThatWindowsHasNone()
    {
        var source = new HostMemorySource(new HostMemorySettings { HugePages = HugePageMode.Require }, new FakePinner(), NullLogger.Instance);

        (await source.Awaiting(s => s.ReserveAsync(MiB).AsTask()).Should().ThrowAsync<PlatformNotSupportedException>()).WithMessage("*HugePages*Auto or Never*");
        source.Invoking(s => s.EnsureAvailable(MiB)).Should().Throw<PlatformNotSupportedException>();
    }

    [Fact]
    public async Task ReserveAsync_OnANumaNode_SaysThatWindowsCannot()
    {
        var source = new HostMemorySource(new HostMemorySettings { NumaNode = 0 }, new FakePinner(), NullLogger.Instance);

        (await source.Awaiting(s => s.ReserveAsync(MiB).AsTask()).Should().ThrowAsync<PlatformNotSupportedException>()).WithMessage("*NumaNode=0*");
    }

    [Fact]
    public void EnsureAvailable_MoreThanTheMachineHas_NamesTheLimit()
    {
        var budget = new MemoryBudget();

        budget.GetTotal().Bytes.Should().BeInRange(256 * MiB, 1L << 50);
        budget.GetAvailable().Bytes.Should().BeInRange(1, budget.GetTotal().Bytes * 8);
        budget.Invoking(b => b.EnsureAvailable(1L << 60)).Should().Throw<MemorySourceException>().Which.LimitBytes.Should().NotBeNull();
    }

    [Fact]
    public void Identify_TwoHandlesOfOneSection_AreTheSameAndOthersAreNot()
    {
        using var section = MemorySection.Create(2 * MiB);
        using var copy = MemorySection.OpenToRead(section);
        using var other = MemorySection.Create(2 * MiB);
        var path = Path.GetTempFileName();
        using var file = File.OpenHandle(path, options: FileOptions.DeleteOnClose);

        MemorySection.Identify(copy).Should().Be(MemorySection.Identify(section)).And.NotBeNull();
        MemorySection.Identify(other).Should().NotBe(MemorySection.Identify(section)).And.NotBeNull();
        MemorySection.Identify(file).Should().BeNull();
    }
}
