namespace LpLlm.Memory.Tests.Server;

public class SharedLeaseTests
{
    private const long MiB = 1 << 20;

    [Fact]
    public async Task C1_S7_Attach_ByTheLeasesToken_IsTheSameMemoryWithoutACopy()
    {
        await using var daemon = await Daemon.StartAsync();
        using var writer = Puppet.Start();
        using var reader = Puppet.Start();
        await writer.AskAsync($"m source {daemon.EndPoint} 33554432", "m reserve 16777216", "m fill 0 1");
        var token = await writer.AskAsync("m token");
        await reader.AskAsync($"m source {daemon.EndPoint} 33554432");
        var before = reader.Process.ReadStatusBytes("RssAnon:");

        await reader.AskAsync($"m attach {token}");

        (await reader.AskAsync("m check 0 1")).Should().Be("0", "it reads what the other wrote");
        (await writer.AskAsync("m fill 0 2")).Should().BeEmpty();
        (await reader.AskAsync("m check 0 2")).Should().Be("0", "and sees what it writes later, so there is no copy");
        reader.Process.ReadMemoryFiles().Should().BeEquivalentTo(writer.Process.ReadMemoryFiles()).And.NotBeEmpty();
        daemon.Process.ReadMemoryFiles().Should().Contain(writer.Process.ReadMemoryFiles(), "which is the daemon's");
        (reader.Process.ReadStatusBytes("RssAnon:") - before).Should().BeLessThan(8 * MiB, "16 MiB were read, and nothing was kept of them");
    }

    [Fact]
    public async Task C2_S9_AnotherClient_ReachesTheBytesByNoCall()
    {
        await using var daemon = await Daemon.StartAsync();
        using var owner = await Puppet.StartSessionAsync(daemon);
        using var stranger = await Puppet.StartSessionAsync(daemon);
        var lease = (await owner.AskAsync("s acquire 4194304")).Split(' ')[0];
        await owner.AskAsync("s map", "s fill 1");
        var segment = (await owner.AskAsync("s segments")).Split(',')[0];
        await stranger.AskAsync("s acquire 4194304", "s map", "s fill 9");
        var own = await stranger.AskAsync("s inodes");

        var random = new Random(1);
        for (var i = 0; i < 50; i++)
        {
            await RefusedAsync(stranger, $"s attach {Convert.ToHexString(RandomBytes(random))}");
        }

        await RefusedAsync(stranger, $"s release {lease}");
        await RefusedAsync(stranger, $"s shrink {lease} {segment}");
        await RefusedAsync(stranger, $"s grow {lease} 2097152");

        (await stranger.AskAsync("s inodes")).Should().Be(own, "it has its own segments and no other");
        stranger.Process.ReadMemoryFiles().Should().HaveCount(2).And.NotIntersectWith(owner.Process.ReadMemoryFiles());
        (await owner.AskAsync("s check 1")).Should().Be("0");
        (await daemon.Watcher.GetStatisticsAsync()).LeasedBytes.Should().Be(8 * MiB, "nothing was taken from anybody");
    }

    private static byte[] RandomBytes(Random random)
    {
        var bytes = new byte[16];
        random.NextBytes(bytes);
        return bytes;
    }

    private static async Task RefusedAsync(Puppet puppet, string command) =>
        (await FluentActions.Awaiting(() => puppet.AskAsync(command)).Should().ThrowAsync<PuppetException>())
            .Which.Code.Should().Be("NotFound", "whether it exists is not told either");
}
