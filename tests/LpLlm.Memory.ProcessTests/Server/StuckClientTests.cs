namespace LpLlm.Memory.Tests.Server;

public class StuckClientTests
{
    private const long MiB = 1 << 20;

    [Fact]
    public async Task Row32_StoppedClients_HoldUpNobodyAndGoOnWhenTheyAreContinued()
    {
        await using var daemon = await Daemon.StartAsync();
        using var holding = await Puppet.StartSessionAsync(daemon);
        using var asking = await Puppet.StartSessionAsync(daemon);
        using var other = await Puppet.StartSessionAsync(daemon);
        await holding.AskAsync("s watch", "s acquire 4194304", "s map", "s fill 1");
        holding.Process.Suspend();
        await asking.AskAsync("s watch");
        await asking.SendAsync("s acquire 2097152", "s map", "s fill 2", "s check 2"); // stopped in the middle of it, wherever that is
        asking.Process.Suspend();

        for (var i = 0; i < 100; i++)
        {
            await other.AskAsync("s acquire 4194304 5000", "s map", "s release", "s renew");
        }

        (await daemon.Watcher.GetStatisticsAsync()).LeasedBytes.Should().BeOneOf([4 * MiB, 6 * MiB], "a stopped client keeps what it has");
        holding.Process.Resume();
        asking.Process.Resume();
        (await holding.AskAsync("s check 1", "s renew", "s grow 2097152")).Should().NotBeEmpty();
        string[] unread = ["s acquire", "s map", "s fill", "s check"];
        var answer = "";
        foreach (var command in unread)
        {
            answer = await asking.ReadAnswerAsync(command);
        }

        answer.Should().Be("0");
        (await daemon.Watcher.GetStatisticsAsync()).LeasedBytes.Should().Be(8 * MiB);
    }

    [Fact]
    public async Task Kill_OfAStoppedClient_GivesItsMemoryBack()
    {
        await using var daemon = await Daemon.StartAsync();
        using var client = await Puppet.StartSessionAsync(daemon);
        await client.AskAsync("s acquire 33554432 5000", "s map", "s fill 1");
        client.Process.Suspend();

        await client.Process.KillAsync();

        await daemon.WaitForAllBackAsync();
        await daemon.FindOnlyZerosAsync(32 * MiB);
    }
}
