using LpLlm.Memory.Sources;

namespace LpLlm.Memory.Tests.Sources;

public sealed class PageSelectorTests : IDisposable
{
    private const long MiB = 1 << 20;
    private const string Private = "kernel/mm/transparent_hugepage/enabled";
    private const string SharedMemory = "kernel/mm/transparent_hugepage/shmem_enabled";
    private readonly Folders _sys = new Folders().WriteHugePages(total: 4, free: 4);

    public void Dispose() => _sys.Dispose();

    [Theory]
    [InlineData(8, "Reserved")]
    [InlineData(2, "Reserved")]
    [InlineData(1, "Small")] // half a page wasted
    [InlineData(9, "Small")] // too few are free
    public void Auto_TakesReservedPagesForAWholePageIfEnoughAreFree(long mib, string expected) =>
        Select(new HostMemorySettings(), mib * MiB).ToString().Should().Be(expected);

    [Theory]
    [InlineData(Private, "always [madvise] never", false, "Transparent")]
    [InlineData(Private, "[always] madvise never", false, "Transparent")]
    [InlineData(Private, "always madvise [never]", false, "Small")]
    [InlineData(Private, "[always] madvise never", true, "Small")]
    [InlineData(SharedMemory, "always within_size [advise] never deny force", true, "Transparent")]
    [InlineData(SharedMemory, "always within_size advise [never] deny force", true, "Collapsed")]
    [InlineData(SharedMemory, "always within_size advise never [deny] force", true, "Small")]
    public void Auto_WithoutReservedPages_FollowsWhatTheAdministratorSet(string file, string text, bool shared, string expected)
    {
        _sys.Write(file, text + "\n");

        Select(new HostMemorySettings { Shared = shared }, 100 * MiB).ToString().Should().Be(expected);
    }

    [Fact]
    public void Never_TakesSmallPagesWhateverThereIs()
    {
        _sys.Write(Private, "[always] madvise never\n");

        Select(new HostMemorySettings { HugePages = HugePageMode.Never }, 4 * MiB).Should().Be(PageKind.Small);
    }

    [Fact]
    public void Require_TakesReservedPagesForLessThanAPageToo() =>
        Select(new HostMemorySettings { HugePages = HugePageMode.Require }, 1).Should().Be(PageKind.Reserved);

    [Fact]
    public void Require_TooFew_Throws() =>
        this.Invoking(_ => Select(new HostMemorySettings { HugePages = HugePageMode.Require }, (8 * MiB) + 1))
            .Should().Throw<MemorySourceException>();

    private PageKind Select(HostMemorySettings settings, long lengthBytes) =>
        new PageSelector(settings, new HugePageReserve(settings.HugePageBytes, settings.NumaNode, _sys.Root), _sys.Root).Select(lengthBytes).Kind;
}
