using LpLlm.Memory.Transport;

namespace LpLlm.Memory.Tests.Server;

public class LostReplyTests
{
    private const long MiB = 1 << 20;

    [Fact]
    public async Task S4_RepliesLostWithTheirConnections_RequestsTakeEffectOnce()
    {
        await using var daemon = await Daemon.StartAsync();
        using var client = Puppet.Start();
        await client.AskAsync($"m source {daemon.EndPoint} 33554432 Acquire Grow Shrink");

        await client.AskAsync("m reserve 4194304", "m fill 0 1");
        await client.AskAsync("m reserve 2097152", "m fill 1 2");

        (await daemon.Watcher.GetStatisticsAsync()).LeasedBytes.Should().Be(6 * MiB);
        (await client.AskAsync("m check 0 1", "m check 1 2")).Should().Be("0");
        await client.AskAsync("m give 1");
        await daemon.WaitForAllBackAsync(otherSessions: 1, 4 * MiB);
        (await client.AskAsync("m lost")).Should().Be("3", "else nothing was lost");
        (await client.AskAsync("m check 0 1")).Should().Be("0");
        await client.AskAsync("m give 0", "m close"); // it may be about to connect again
        await daemon.WaitForAllBackAsync();
        (await daemon.Watcher.GetStatisticsAsync()).TotalLeases.Should().Be(1, "the request that was repeated got the same lease");
    }

    [Fact]
    public async Task S4_RepliesLostOnTheSocketItself_RequestsTakeEffectOnce()
    {
        await using var daemon = await Daemon.StartAsync();
        await using var proxy = new LossyProxy(daemon, PoolMethod.Acquire, PoolMethod.Grow, PoolMethod.Shrink);
        using var client = Puppet.Start();
        await client.AskAsync($"m source {proxy.EndPoint} 33554432");

        await client.AskAsync("m reserve 4194304", "m fill 0 1");
        await client.AskAsync("m reserve 2097152", "m fill 1 2");

        (await daemon.Watcher.GetStatisticsAsync()).LeasedBytes.Should().Be(6 * MiB);
        (await client.AskAsync("m check 0 1", "m check 1 2")).Should().Be("0");
        await client.AskAsync("m give 1");
        await Eventually.TrueAsync(async () => (await daemon.Watcher.GetStatisticsAsync()).LeasedBytes == 4 * MiB);
        await Eventually.TrueAsync(() => Task.FromResult(proxy.Lost == 3));
        (await client.AskAsync("m check 0 1")).Should().Be("0");
        await client.AskAsync("m give 0", "m close");
        await Eventually.TrueAsync(async () => (await daemon.Watcher.GetStatisticsAsync()).LeasedBytes == 0);
        (await daemon.Watcher.GetStatisticsAsync()).TotalLeases.Should().Be(1, "the request that was repeated got the same lease");
    }

    [Fact]
    public async Task S4_ClientKilledBeforeItReadsTheReply_LeavesNothingBehind()
    {
        await using var daemon = await Daemon.StartAsync();
        for (var i = 0; i < 5; i++)
        {
            using var client = await Puppet.StartSessionAsync(daemon);
            await client.SendAsync("s acquire 33554432 5000");
            await Eventually.TrueAsync(async () => (await daemon.Watcher.GetStatisticsAsync()).LeasedBytes > 0);
            await client.Process.KillAsync();
            await daemon.WaitForAllBackAsync();
        }
    }
}
