using LpLlm.Memory.Sources;

namespace LpLlm.Memory.Tests.Sources;

public sealed class HugePageReserveTests : IDisposable
{
    private const long MiB = 1 << 20;
    private readonly Folders _sys = new();

    public void Dispose() => _sys.Dispose();

    [Theory]
    [InlineData(10, 8, 3, 0, 5)] // claimed pages are free in name only
    [InlineData(10, 8, 3, 4, 9)] // the kernel may add four more
    [InlineData(10, 2, 3, 0, 0)]
    public void FreeBytes_CountWhatNobodyHasAClaimOn(long total, long free, long claimed, long overcommit, long expected)
    {
        _sys.WriteHugePages(total, free, claimed, overcommit);

        CreateSut().GetFreeBytes().Should().Be(expected * 2 * MiB);
    }

    [Fact]
    public void FreeBytes_OfANode_AreThoseOfTheNode()
    {
        _sys.WriteHugePages(total: 10, free: 10).WriteHugePages(4, 3, folder: "devices/system/node/node1/hugepages/hugepages-2048kB");

        CreateSut(node: 1).GetFreeBytes().Should().Be(6 * MiB);
    }

    [Fact]
    public void FreeBytes_WithoutHugetlb_AreNone() => CreateSut().GetFreeBytes().Should().Be(0);

    [Fact]
    public void EnsureAvailable_TooFew_SaysHowManyAreFreeHowManyAreNeededAndHowToReserve()
    {
        _sys.WriteHugePages(total: 10, free: 4);
        CreateSut().EnsureAvailable(8 * MiB);

        var error = CreateSut().Invoking(sut => sut.EnsureAvailable((8 * MiB) + 1)).Should().Throw<MemorySourceException>().Which;

        error.LimitBytes.Should().Be(8 * MiB);
        error.Message.Should().Contain("5 huge pages are needed and 4 of 10 2 MiB pages are free")
            .And.Contain($"echo 11 > {_sys.Root}/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
    }

    [Fact]
    public void EnsureAvailable_TooFewOnANode_NamesTheNodesOwnFile()
    {
        _sys.WriteHugePages(10, 10).WriteHugePages(0, 0, folder: "devices/system/node/node1/hugepages/hugepages-2048kB");

        CreateSut(node: 1).Invoking(sut => sut.EnsureAvailable(4 * MiB)).Should().Throw<MemorySourceException>().Which.Message.Should()
            .Contain("on NUMA node 1").And.Contain($"echo 2 > {_sys.Root}/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages");
    }

    [Fact]
    public void EnsureAvailable_SizeTheKernelLacks_SaysSo() =>
        CreateSut().Invoking(sut => sut.EnsureAvailable(1)).Should().Throw<MemorySourceException>()
            .Which.Message.Should().Contain("This kernel has no 2 MiB pages");

    private HugePageReserve CreateSut(int? node = null) => new(2 * MiB, node, _sys.Root);
}
