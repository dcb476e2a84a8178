namespace LpLlm.Memory.Tests.Server;

public class SharedLeaseTests
{
    private const long MiB = 1 << 20;

    [Fact]
    public async Task C1_S7_Open_ByTheLeasesToken_IsTheSameMemoryWithoutACopy()
    {
        await using var daemon = await Daemon.StartAsync();
        using var writer = await StartAsync(daemon);
        using var reader = await StartAsync(daemon);
        var token = await writer.AskAsync("p share 16777216");
        await writer.AskAsync("p fill 0 1");
        var before = reader.Process.ReadStatusBytes("RssAnon:");

        await reader.AskAsync($"p open {token}");

        (await reader.AskAsync("p check 0 1")).Should().Be("0", "it reads what the other wrote");
        (await writer.AskAsync("p fill 0 2")).Should().BeEmpty();
        (await reader.AskAsync("p check 0 2")).Should().Be("0", "and sees what it writes later, so there is no copy");
        (await reader.AskAsync("p fill 0 3")).Should().BeEmpty();
        (await writer.AskAsync("p check 0 3")).Should().Be("0", "as the first sees what the second writes");
        reader.Process.ReadMemoryFiles().Should().BeEquivalentTo(writer.Process.ReadMemoryFiles()).And.NotBeEmpty();
        daemon.Process.ReadMemoryFiles().Should().Contain(writer.Process.ReadMemoryFiles(), "which is the daemon's");
        (reader.Process.ReadStatusBytes("RssAnon:") - before).Should().BeLessThan(8 * MiB, "16 MiB were read, and nothing was kept of them");
    }

    [Fact]
    public async Task C2_AnotherPool_WithoutTheToken_HasOtherMemory()
    {
        await using var daemon = await Daemon.StartAsync();
        using var owner = await StartAsync(daemon);
        using var stranger = await StartAsync(daemon);
        var token = await owner.AskAsync("p share 4194304");
        await owner.AskAsync("p fill 0 1");

        foreach (var wrong in new[] { Changed(token, 0), Changed(token, 31) })
        {
            (await FluentActions.Awaiting(() => stranger.AskAsync($"p open {wrong}")).Should().ThrowAsync<PuppetException>())
                .Which.Type.Should().Be(nameof(PoolRequestRejectedException));
        }

        await stranger.AskAsync("p rent 4194304", "p share 4194304", "p fill 0 9", "p fill 1 9");
        stranger.Process.ReadMemoryFiles().Should().NotBeEmpty().And.NotIntersectWith(owner.Process.ReadMemoryFiles());
        (await owner.AskAsync("p check 0 1")).Should().Be("0");
    }

    [Fact]
    public async Task Row01_Kill_OfWhoRentedIt_LeavesTheOthersEveryByte_AndTheLastOnesDeathFreesIt()
    {
        await using var daemon = await Daemon.StartAsync();
        using var writer = await StartAsync(daemon);
        using var reader = await StartAsync(daemon);
        var token = await writer.AskAsync("p share 16777216");
        await writer.AskAsync("p fill 0 1");
        await reader.AskAsync($"p open {token}");
        var reads = Enumerable.Repeat("p check 0 1", 60).ToArray();
        await reader.SendAsync(reads);
        (await reader.ReadAnswerAsync(reads[0])).Should().Be("0");

        await writer.Process.KillAsync();

        foreach (var read in reads[1..])
        {
            (await reader.ReadAnswerAsync(read)).Should().Be("0", "it is in the middle of reading");
        }

        await daemon.WaitForAllBackAsync(otherSessions: 1, 16 * MiB);
        (await reader.AskAsync("p fill 0 2", "p check 0 2")).Should().Be("0");
        await reader.Process.KillAsync();
        await daemon.WaitForAllBackAsync();
        await daemon.FindOnlyZerosAsync(32 * MiB);
    }

    [Fact]
    public async Task Row05_Restart_WithBothAttached_TheyMeetAgain_AndAThirdFindsThem()
    {
        await using var daemon = await Daemon.StartAsync();
        using var writer = await StartAsync(daemon);
        using var reader = await StartAsync(daemon);
        var token = await writer.AskAsync("p share 8388608");
        await writer.AskAsync("p fill 0 1");
        await reader.AskAsync($"p open {token}");
        var files = writer.Process.ReadMemoryFiles();

        await daemon.KillAsync();
        (await reader.AskAsync("p check 0 1", "p fill 0 2")).Should().BeEmpty("the memory is the processes' own as well");
        await daemon.StartAgainAsync();

        await Eventually.TrueAsync(async () => (await daemon.Watcher.ListAsync()) is [{ HolderCount: 2 }]);
        (await daemon.Watcher.GetStatisticsAsync()).LeasedBytes.Should().Be(8 * MiB, "it counts once");
        (await writer.AskAsync("p check 0 2", "p fill 0 3")).Should().BeEmpty();
        (await reader.AskAsync("p check 0 3")).Should().Be("0");
        using var third = await StartAsync(daemon);
        await third.AskAsync($"p open {token}");
        (await third.AskAsync("p check 0 3")).Should().Be("0");
        third.Process.ReadMemoryFiles().Should().BeEquivalentTo(files);
        foreach (var process in new[] { writer, reader, third })
        {
            await process.AskAsync("p give 0", "p stop");
        }

        await daemon.WaitForAllBackAsync();
        await daemon.FindOnlyZerosAsync(24 * MiB);
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

    private static async Task<Puppet> StartAsync(Daemon daemon)
    {
        var puppet = Puppet.Start();
        await puppet.AskAsync($"p pool server {daemon.EndPoint} 33554432 4194304");
        return puppet;
    }

    private static string Changed(string token, int at) => $"{token[..at]}{(token[at] == '1' ? '2' : '1')}{token[(at + 1)..]}";

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
