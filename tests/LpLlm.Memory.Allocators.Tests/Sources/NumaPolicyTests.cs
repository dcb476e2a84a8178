using LpLlm.Memory.Sources;

namespace LpLlm.Memory.Tests.Sources;

public sealed class NumaPolicyTests : IDisposable
{
    private const long MiB = 1 << 20;

    private readonly Folders _root = new Folders()
        .Write("devices/system/node/has_memory", "0-2,5\n")
        .Write("self/status", "Name:\ttest\nMems_allowed_list:\t0-1\n");

    public void Dispose() => _root.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reserve_OnNodeZero_IsOnNodeZero(bool shared)
    {
        var sut = TestSource.Create(new HostMemorySettings { NumaNode = 0, Shared = shared }, new FakePinner());
        sut.EnsureAvailable(8 * MiB);

        using var region = await sut.ReserveAsync(8 * MiB).DefaultTimeout();

        NumaPolicyOf(region).Should().StartWith("bind:0", "the policy that the kernel keeps for the range");
        new NumaPolicy(0).Verify(region.Address, region.LengthBytes);
    }

    [Fact]
    public async Task Verify_PagesElsewhere_SaysWhere()
    {
        using var region = await TestSource.Create(new HostMemorySettings(), new FakePinner()).ReserveAsync(2 * MiB).DefaultTimeout();

        new NumaPolicy(1).Invoking(sut => sut.Verify(region.Address, region.LengthBytes)).Should().Throw<MemorySourceException>()
            .Which.Message.Should().Contain("NUMA node 1").And.Contain("Pages are on node 0");
    }

    [Fact]
    public async Task Reserve_OnAMissingNode_NamesTheNodesThereAre()
    {
        var sut = TestSource.Create(new HostMemorySettings { NumaNode = NumaPolicy.MaxNode }, new FakePinner());

        sut.Invoking(source => source.EnsureAvailable(MiB)).Should().Throw<MemorySourceException>();
        var error = (await FluentActions.Awaiting(() => sut.ReserveAsync(MiB).DefaultTimeout()).Should().ThrowAsync<MemorySourceException>()).Which;
        error.Message.Should().Contain("NUMA node 1023 is not there").And.Contain("the nodes with memory are 0").And.Contain("Set NumaNode");
    }

    [Fact]
    public async Task Bind_ToAMissingNode_IsRefusedByTheKernelToo()
    {
        using var region = await TestSource.Create(new HostMemorySettings(), new FakePinner()).ReserveAsync(2 * MiB).DefaultTimeout();

        new NumaPolicy(NumaPolicy.MaxNode).Invoking(sut => sut.Bind(region.Address, region.LengthBytes)).Should().Throw<MemorySourceException>()
            .Which.Message.Should().Contain("EINVAL (22)").And.Contain("is not there");
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(1, true)]
    [InlineData(2, false)] // there, but not allowed
    [InlineData(3, false)]
    [InlineData(5, false)]
    public void EnsureAvailable_NeedsANodeThatIsThereAndAllowed(int node, bool usable)
    {
        var act = () => CreateSut(node).EnsureAvailable(MiB);

        if (usable)
        {
            act.Should().NotThrow();
        }
        else
        {
            act.Should().Throw<MemorySourceException>().Which.Message.Should()
                .Contain("the nodes with memory are 0, 1, 2, 5, and it may use 0, 1.");
        }
    }

    [Theory]
    [InlineData(38, "ENOSYS (38)", "built without NUMA")]
    [InlineData(1, "EPERM (1)", "CAP_SYS_NICE")]
    [InlineData(22, "EINVAL (22)", "Leave NumaNode out")]
    public void Refusal_SaysWhatToDo(int error, string name, string remedy) =>
        CreateSut(node: 1).Refusal(error, MiB).Message.Should().Contain(name).And.Contain(remedy);

    private NumaPolicy CreateSut(int node) => new(node, _root.Root, _root.Root);

    private static string NumaPolicyOf(MemoryRegion region) => File.ReadLines("/proc/self/numa_maps")
        .Select(line => line.Split(' '))
        .Last(parts => Convert.ToInt64(parts[0], 16) <= region.Address)[1];
}
