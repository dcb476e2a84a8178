using LpLlm.Memory.Sources;

namespace LpLlm.Memory.Tests.Sources;

public sealed class MemoryBudgetTests : IDisposable
{
    private const long GiB = 1L << 30;
    private readonly string _root = Directory.CreateTempSubdirectory("budget").FullName;

    public MemoryBudgetTests()
    {
        Write("proc/meminfo", "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n");
        Write("proc/self/cgroup", "0::/\n");
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void NoGroupLimit_UsesMemAvailable()
    {
        Write("cgroup/memory.max", "max\n");
        Write("cgroup/memory.current", "1000\n");

        CreateSut().GetAvailable().Bytes.Should().Be(8 * GiB);
    }

    [Fact]
    public void Version2_LimitLessUsagePlusCleanCache()
    {
        Write("proc/self/cgroup", "0::/app.slice/job\n");
        Write("cgroup/app.slice/job/memory.max", $"{4 * GiB}\n");
        Write("cgroup/app.slice/job/memory.current", $"{3 * GiB}\n");
        Write("cgroup/app.slice/job/memory.stat", $"anon {GiB}\ninactive_file {GiB}\n");

        var (bytes, name) = CreateSut().GetAvailable();

        bytes.Should().Be(2 * GiB);
        name.Should().Contain("memory.max").And.Contain("app.slice/job");
    }

    [Fact]
    public void Version2_AnAncestorsLimitBinds()
    {
        Write("proc/self/cgroup", "0::/app.slice/job\n");
        Write("cgroup/app.slice/memory.max", $"{GiB}\n");
        Write("cgroup/app.slice/memory.current", "0\n");
        Write("cgroup/app.slice/job/memory.max", "max\n");
        Write("cgroup/app.slice/job/memory.current", "0\n");

        CreateSut().GetAvailable().Bytes.Should().Be(GiB);
    }

    [Fact]
    public void Version1_ReadsTheMemoryController()
    {
        Write("proc/self/cgroup", "12:cpu,cpuacct:/x\n7:memory:/docker/abc\n");
        Write("cgroup/memory/memory.limit_in_bytes", $"{2 * GiB}\n");
        Write("cgroup/memory/memory.usage_in_bytes", $"{GiB}\n");
        Write("cgroup/memory/memory.stat", "total_inactive_file 0\n");

        CreateSut().GetAvailable().Bytes.Should().Be(GiB);
    }

    [Fact]
    public void NumaNode_ItsFreeMemoryAndCleanCacheBind()
    {
        Write("sys/devices/system/node/node1/meminfo", $"Node 1 MemTotal: 9 kB\nNode 1 MemFree: {GiB / 1024} kB\nNode 1 Inactive(file): {GiB / 1024} kB\n");

        var (bytes, name) = new MemoryBudget(
            Path.Combine(_root, "proc"), Path.Combine(_root, "cgroup"), Path.Combine(_root, "sys"), numaNode: 1).GetAvailable();

        bytes.Should().Be(2 * GiB);
        name.Should().Be("MemFree of NUMA node 1");
    }

    [Fact]
    public void EnsureAvailable_KeepsHeadroomAndNamesTheLimit()
    {
        Write("cgroup/memory.max", $"{GiB}\n");
        Write("cgroup/memory.current", "0\n");
        var sut = CreateSut();

        sut.EnsureAvailable(GiB - MemoryBudget.HeadroomBytes);
        var act = () => sut.EnsureAvailable(GiB - MemoryBudget.HeadroomBytes + 1);

        act.Should().Throw<MemorySourceException>().Which.Message.Should().Contain("memory.max").And.Contain("1 GiB");
    }

    private MemoryBudget CreateSut() => new(Path.Combine(_root, "proc"), Path.Combine(_root, "cgroup"));

    private void Write(string path, string text)
    {
        var file = Path.Combine(_root, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }
}
