using LpLlm.Memory.Tests.Children;

namespace LpLlm.Memory.Tests.Server;

public class KilledDaemonTests
{
    private const long MiB = 1 << 20;

    [Fact]
    public async Task Row04_Kill_WithClientsAttached_LeavesThemTheirMemoryAndRefusesNewRentsAtOnce()
    {
        await using var daemon = await Daemon.StartAsync();
        using var clients = await Clients.StartAsync(daemon, count: 3);
        await using var caller = await ProtocolClient.OpenAsync(daemon.EndPoint);

        await daemon.KillAsync();

        foreach (var client in clients)
        {
            (await client.AskAsync("p check 0 1")).Should().Be("0", "the bytes are still there");
            await UnavailableAsync(client, "p rent 4194304");
            (await client.AskAsync("p fill 0 2", "p check 0 2")).Should().Be("0", "and can be written");
        }

        (await FluentActions.Awaiting(() => caller.GetStatisticsAsync()).Should().ThrowAsync<PoolServerUnavailableException>())
            .Which.IsTransient.Should().BeTrue();
    }

    [Fact]
    public async Task Row05_Restart_ClientsPresentTheirMemoryAgain_NoByteLostNoAddressChanged()
    {
        await using var daemon = await Daemon.StartAsync();
        using var clients = await Clients.StartAsync(daemon, count: 3);
        var files = clients.Select(client => client.Process.ReadMemoryFiles()).ToList();

        await daemon.KillAsync();
        await daemon.StartAgainAsync();

        await Eventually.TrueAsync(async () => (await daemon.Watcher.ListAsync()).Count == 3);
        (await daemon.Watcher.GetStatisticsAsync()).LeasedBytes.Should().Be(3 * 4 * MiB);
        foreach (var (client, before) in clients.Zip(files))
        {
            (await client.AskAsync("p check 0 1")).Should().Be("0");
            (await client.AskAsync("p address 0")).Should().Be(clients.AddressOf(client));
            client.Process.ReadMemoryFiles().Should().BeEquivalentTo(before, "the very memory, not a copy");
            await Eventually.TrueAsync(() => client.SucceedsAsync("p rent 4194304", nameof(PoolServerUnavailableException)));
            (await client.AskAsync("p nonzero 1", "p fill 1 3", "p check 1 3")).Should().Be("0");
        }

        foreach (var client in clients)
        {
            await client.AskAsync("p give 0", "p give 1", "p stop");
        }

        await daemon.WaitForAllBackAsync();
    }

    [Fact]
    public async Task Row05_Restart_OldSessionsLeasesAndSegmentsAreUnknown()
    {
        await using var daemon = await Daemon.StartAsync();
        using var client = Puppet.Start();
        var session = (await client.AskAsync($"s session {daemon.EndPoint}", "s connect", "s hello")).Split(' ')[0];
        var lease = (await client.AskAsync("s acquire 4194304")).Split(' ');
        await client.AskAsync("s map", "s fill 1");
        var segment = (await client.AskAsync("s segments")).Split(',')[0];

        await daemon.KillAsync();
        await daemon.StartAgainAsync();

        await client.AskAsync("s connect");
        (await client.AskAsync($"s hello {session}")).Should().EndWith("False", "there is no such session any more").And.NotStartWith(session);
        await RefusedAsync(client, $"s release {lease[0]}");
        await RefusedAsync(client, $"s shrink {lease[0]} {segment}");
        await RefusedAsync(client, $"s grow {lease[0]} 2097152");
        await RefusedAsync(client, $"s attach {lease[1]}");
        (await client.AskAsync("s restore")).Should().NotBe(lease[0]);
        (await client.AskAsync("s check 1", "s renew", "s check 1")).Should().Be("0");
    }

    [Fact]
    public async Task Kill_AHybridPool_FallsBackToLocalMemoryAndReturns()
    {
        await using var daemon = await Daemon.StartAsync();
        using var client = Puppet.Start();
        await client.AskAsync($"p pool hybrid {daemon.EndPoint} 16777216 4194304");
        (await client.AskAsync("p rent 4194304")).Should().EndWith("server");
        await client.AskAsync("p fill 0 1");

        await daemon.KillAsync();

        (await client.AskAsync("p rent 4194304")).Should().EndWith("local", "the rent that meets the loss is served too");
        (await client.AskAsync("p check 0 1")).Should().Be("0");

        await daemon.StartAgainAsync();

        await Eventually.TrueAsync(async () => (await client.AskAsync("p rent 65536")).EndsWith("server", StringComparison.Ordinal));
        (await client.AskAsync("p check 0 1")).Should().Be("0");
    }

    private static async Task UnavailableAsync(Puppet client, string command) =>
        (await FluentActions.Awaiting(() => client.AskAsync(command)).Should().ThrowAsync<PuppetException>())
            .Which.Type.Should().Be(nameof(PoolServerUnavailableException));

    private static async Task RefusedAsync(Puppet client, string command) =>
        (await FluentActions.Awaiting(() => client.AskAsync(command)).Should().ThrowAsync<PuppetException>()).Which.Code.Should().Be("NotFound");
}
