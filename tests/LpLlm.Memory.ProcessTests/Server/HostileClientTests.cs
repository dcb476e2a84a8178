using System.Globalization;

namespace LpLlm.Memory.Tests.Server;

public class HostileClientTests
{
    private const long MiB = 1 << 20;

    [Fact]
    public async Task Row02_SocketClosedButMappingKept_IsReusedOnlyAfterTheProcessEnds()
    {
        await using var daemon = await Daemon.StartAsync(new DaemonSettings { CapacityBytes = 8 * MiB });
        using var gone = await Puppet.StartSessionAsync(daemon);
        using var next = await Puppet.StartSessionAsync(daemon);
        await gone.AskAsync("s acquire 4194304", "s map", "s write-forever 3");
        var files = gone.Process.ReadMemoryFiles();

        await gone.AskAsync("s disconnect");

        await next.AskAsync("s acquire 4194304", "s map", "s fill 9");
        await ExhaustedAsync(next, "s acquire 2097152 300"); // longer than the quarantine
        (await next.AskAsync("s check 9")).Should().Be("0");
        next.Process.ReadMemoryFiles().Should().NotIntersectWith(files);
        gone.Process.ReadMemoryFiles().Should().BeEquivalentTo(files, "it still has its memory");

        await gone.Process.KillAsync();

        await next.AskAsync("s release", "s acquire 8388608 5000", "s map");
        (await next.AskAsync("s nonzero")).Should().Be("0", "it was overwritten after the last store of the one before");
    }

    [Fact]
    public async Task Row03_ParentDiesAndItsForkedChildHoldsTheSocket_TheSessionEndsAndTheChildHasNoMapping()
    {
        await using var daemon = await Daemon.StartAsync();
        using var parent = await Puppet.StartSessionAsync(daemon);
        await parent.AskAsync("s acquire 4194304", "s map", "s fill 1");
        parent.Process.ReadMemoryFiles().Should().NotBeEmpty();
        var child = int.Parse(await parent.AskAsync("s fork"), CultureInfo.InvariantCulture);
        try
        {
            MemoryFiles.OfProcess($"/proc/{child}").Should().BeEmpty("a child does not inherit leased memory");

            await parent.Process.KillAsync();

            File.Exists($"/proc/{child}/status").Should().BeTrue("it lives on, with the connection");
            await daemon.WaitForAllBackAsync();
        }
        finally
        {
            System.Diagnostics.Process.GetProcessById(child).Kill();
        }

        await daemon.FindOnlyZerosAsync(32 * MiB);
    }

    [Fact]
    public async Task Row13_WritesAfterTheReturn_NeverReachAnotherClient()
    {
        await using var daemon = await Daemon.StartAsync(new DaemonSettings { CapacityBytes = 4 * MiB });
        using var late = await Puppet.StartSessionAsync(daemon);
        using var next = await Puppet.StartSessionAsync(daemon);
        await late.AskAsync("s acquire 4194304", "s map", "s write-forever 3", "s release-mapped");

        await next.AskAsync("s acquire 4194304 5000", "s map");

        (await next.AskAsync("s nonzero")).Should().Be("0");
        await next.AskAsync("s fill 9");
        for (var i = 0; i < 20; i++)
        {
            (await next.AskAsync("s check 9")).Should().Be("0", "what it has is not what the other still writes to");
        }

        next.Process.ReadMemoryFiles().Should().NotIntersectWith(late.Process.ReadMemoryFiles());
    }

    [Fact]
    public async Task Row19_Truncation_IsForbiddenByTheKernelAndHurtsNobody()
    {
        await using var daemon = await Daemon.StartAsync();
        using var client = await Puppet.StartSessionAsync(daemon);
        await client.AskAsync("s acquire 4194304", "s map", "s fill 1");

        (await client.AskAsync("s truncate 0")).Should().Be("errno 1");
        (await client.AskAsync("s truncate 4096")).Should().Be("errno 1");
        (await client.AskAsync("s truncate 8388608")).Should().Be("errno 1");

        (await client.AskAsync("s check 1")).Should().Be("0");
        await client.AskAsync("s goodbye");
        await daemon.WaitForAllBackAsync(); // it has overwritten every page of it
    }

    [Fact]
    public async Task Row20_PunchedHole_HurtsItsOwnMemoryOnly()
    {
        await using var daemon = await Daemon.StartAsync();
        using var client = await Puppet.StartSessionAsync(daemon);
        using var other = await Puppet.StartSessionAsync(daemon);
        await client.AskAsync("s acquire 2097152", "s map", "s fill 1");
        await other.AskAsync("s acquire 8388608", "s map", "s fill 2");

        (await client.AskAsync("s punch")).Should().Be("done", "nothing forbids it: so no segment is anybody else's");

        (await client.AskAsync("s nonzero")).Should().Be("0");
        (await other.AskAsync("s check 2")).Should().Be("0");
        await client.AskAsync("s goodbye");
        await other.AskAsync("s goodbye");
        await daemon.WaitForAllBackAsync();
        await daemon.FindOnlyZerosAsync(32 * MiB);
    }

    [Fact]
    public async Task Row22_FreedMemory_HoldsNothingOfThoseWhoHadIt()
    {
        await using var daemon = await Daemon.StartAsync();
        using (var orderly = await Puppet.StartSessionAsync(daemon))
        {
            await orderly.AskAsync("s acquire 33554432 5000", "s map", "s fill 1", "s goodbye");
            await daemon.FindOnlyZerosAsync(32 * MiB);
        }

        using var killed = await Puppet.StartSessionAsync(daemon);
        await killed.AskAsync("s acquire 33554432 5000", "s map", "s write-forever 2", "s renew");
        await killed.Process.KillAsync();
        await daemon.FindOnlyZerosAsync(32 * MiB);
    }

    private static async Task ExhaustedAsync(Puppet client, string command) =>
        (await FluentActions.Awaiting(() => client.AskAsync(command)).Should().ThrowAsync<PuppetException>())
            .Which.Code.Should().Be("ResourceExhausted");
}
