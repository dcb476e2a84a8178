using LpLlm.Memory.Sources;

namespace LpLlm.Memory.Tests.Sources;

/// <summary>With pages really reserved. Skipped where that is not possible.</summary>
[Collection(WholeProcess.Name)]
public sealed class HugePageMemorySourceTests : IClassFixture<ReservedHugePages>, IDisposable
{
    private const long MiB = 1 << 20;

    private readonly Folders _noMemory = new Folders().Write("meminfo", "MemAvailable: 0 kB\n");
    private readonly CollectingLogger _logger = new();

    private readonly ReservedHugePages _pages;

    public HugePageMemorySourceTests(ReservedHugePages pages)
    {
        pages.SkipIfMissing();
        _pages = pages;
    }

    public void Dispose() => _noMemory.Dispose();

    [SkippableTheory]
    [InlineData(HugePageMode.Require, false)]
    [InlineData(HugePageMode.Require, true)]
    [InlineData(HugePageMode.Auto, false)]
    [InlineData(HugePageMode.Auto, true)]
    public async Task Reserve_IsOnReservedPages_RoundedUpAndLockedWithoutMlock(HugePageMode mode, bool shared)
    {
        var pinner = new FakePinner();
        var hugeBefore = ProcessStatus.ReadBytes("HugetlbPages:");
        var sut = CreateSut(new HostMemorySettings { HugePages = mode, Shared = shared }, pinner);

        var region = await sut.ReserveAsync((6 * MiB) + 1).DefaultTimeout();

        region.LengthBytes.Should().Be(8 * MiB);
        region.Capabilities.Should().HaveFlag(PoolCapabilities.PageLocked);
        MappedRange.Find(region.Address)!.KernelPageBytes.Should().Be(2 * MiB);
        (ProcessStatus.ReadBytes("HugetlbPages:") - hugeBefore).Should().Be(8 * MiB, "every page is populated");
        pinner.Pinned.Should().BeEmpty("mlock would fail against a limit that these pages do not need");
        _logger.Entries.Should().ContainSingle().Which.Message.Should().Contain("reserved huge pages of 2 MiB").And.Contain(mode.ToString());
        region.Dispose();
        ProcessStatus.ReadBytes("HugetlbPages:").Should().Be(hugeBefore);
    }

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reserve_APinnerThatAddsMore_IsAskedAllTheSame(bool shared)
    {
        var pinner = new FakePinner { Capabilities = PoolCapabilities.PageLocked | PoolCapabilities.DeviceVisible };
        using var region = await CreateSut(new HostMemorySettings { HugePages = HugePageMode.Require, Shared = shared }, pinner)
            .ReserveAsync(4 * MiB).DefaultTimeout();

        pinner.Pinned.Should().ContainSingle().Which.Value.Should().Be(4 * MiB);
        region.Capabilities.Should().HaveFlag(PoolCapabilities.DeviceVisible);
    }

    [SkippableFact]
    public async Task Reserve_RegistrationRefusedUnderAllowPageable_IsAnErrorBecauseLockingWasNotWhatFailed()
    {
        var pinner = new FakePinner { Capabilities = PoolCapabilities.PageLocked | PoolCapabilities.DeviceVisible };
        pinner.FailingPins.Add(1);

        var sut = CreateSut(new HostMemorySettings { HugePages = HugePageMode.Require, AllowPageable = true }, pinner);

        await FluentActions.Awaiting(() => sut.ReserveAsync(4 * MiB).DefaultTimeout()).Should().ThrowAsync<MemorySourceException>();

        _logger.Entries.Should().BeEmpty();
    }

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Require_MoreThanAreFree_SaysHowToReserve(bool shared)
    {
        var sut = CreateSut(new HostMemorySettings { HugePages = HugePageMode.Require, Shared = shared }, new FakePinner());

        sut.Invoking(source => source.EnsureAvailable(1L << 40)).Should().Throw<MemorySourceException>();
        (await FluentActions.Awaiting(() => sut.ReserveAsync(1L << 40).DefaultTimeout()).Should().ThrowAsync<MemorySourceException>())
            .Which.Message.Should().Contain("524288 huge pages are needed").And.Contain("> /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
    }

    [SkippableFact]
    public void EnsureAvailable_OfReservedPages_DoesNotAskForMemoryTheyAreNotTakenFrom()
    {
        var length = 16 * MiB;

        CreateSut(new HostMemorySettings { HugePages = HugePageMode.Require }, new FakePinner()).EnsureAvailable(length);
        CreateSut(new HostMemorySettings { HugePages = HugePageMode.Auto }, new FakePinner()).EnsureAvailable(length);
        CreateSut(new HostMemorySettings { HugePages = HugePageMode.Never }, new FakePinner())
            .Invoking(sut => sut.EnsureAvailable(length)).Should().Throw<MemorySourceException>();
    }

    [SkippableTheory]
    [InlineData(HugePageMode.Auto)]
    [InlineData(HugePageMode.Require)]
    public async Task Reserve_PagesTakenSinceTheyWereCounted_FallsBackOrSaysSo(HugePageMode mode)
    {
        // Counters that promise more than there is are what a race with another process looks like.
        using var sys = new Folders().WriteHugePages(total: 1 << 20, free: 1 << 20);
        var sut = new HostMemorySource(new HostMemorySettings { HugePages = mode }, new FakePinner(), _logger, sysPath: sys.Root);
        var tooMany = (_pages.FreePages + 1) * _pages.PageBytes;

        var act = async () => (await sut.ReserveAsync(tooMany).DefaultTimeout()).Dispose();

        if (mode == HugePageMode.Auto)
        {
            await act();
            _logger.Entries.Should().ContainSingle().Which.Message.Should().Contain("pages of 4 KiB");
        }
        else
        {
            (await act.Should().ThrowAsync<MemorySourceException>()).Which.InnerException.Should().BeOfType<MemorySourceException>()
                .Which.Message.Should().Contain("mmap").And.Contain("ENOMEM");
        }
    }

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reserve_OnANode_TakesTheReservedPagesOfTheNode(bool shared)
    {
        var sut = CreateSut(new HostMemorySettings { HugePages = HugePageMode.Require, NumaNode = 0, Shared = shared }, new FakePinner());

        using var region = await sut.ReserveAsync(4 * MiB).DefaultTimeout();

        MappedRange.Find(region.Address)!.KernelPageBytes.Should().Be(2 * MiB);
    }

    private HostMemorySource CreateSut(HostMemorySettings settings, IHostPinner pinner) =>
        new(settings, pinner, _logger, new MemoryBudget(_noMemory.Root, _noMemory.Root));
}
