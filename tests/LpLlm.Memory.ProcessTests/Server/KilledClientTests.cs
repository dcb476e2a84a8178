using System.Globalization;

namespace LpLlm.Memory.Tests.Server;

public class KilledClientTests
{
    private const long MiB = 1 << 20;
    private const long CapacityBytes = 64 * MiB;
    private const int Seed = 20261122;

    /// <summary>Processes that are killed, one SIGKILL each.</summary>
    private const int Kills = 1000;

    /// <summary>Clients at a time: they start in one another's shadow.</summary>
    private const int Workers = 6;

    /// <summary>One life of a client. Each kill hits another step, or the one after it.</summary>
    private static readonly string[] Life =
    [
        "s connect", "s hello", "s watch", "s acquire 4194304 5000", "s map", "s fill 77", "s grow 2097152", "s map", "s fill 78", "s shrink",
        "s renew", "s restore", "s grow 4194304", "s map", "s write-forever 79", "s renew",
    ];

    /// <summary>Another one, that ends with giving everything back.</summary>
    private static readonly string[] OrderlyLife =
        ["s connect", "s hello", "s acquire 6291456 5000", "s map", "s fill 80", "s release", "s acquire 2097152 5000", "s map", "s fill 81", "s goodbye"];

    [Fact]
    public async Task Row01_S5_Kill_AtEachStepAThousandTimes_AllMemoryComesBackZeroedAndNobodyElseNotices()
    {
        await using var daemon = await Daemon.StartAsync(new DaemonSettings { CapacityBytes = CapacityBytes });
        using var bystander = await Puppet.StartSessionAsync(daemon);
        await bystander.AskAsync("s acquire 4194304", "s map", "s fill 5", "s check 5");
        await KillAsync(daemon, new Random(Seed), kills: 10); // whatever the daemon loads and compiles once
        await daemon.WaitForAllBackAsync(otherSessions: 1, 4 * MiB);
        var files = daemon.Process.CountOpenFiles();
        var anonymous = daemon.Process.ReadStatusBytes("RssAnon:");
        var segments = daemon.Process.ReadMemoryFiles().Count;

        await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker =>
            KillAsync(daemon, new Random(Seed + worker), (Kills + worker) / Workers)));

        await daemon.WaitForAllBackAsync(otherSessions: 1, 4 * MiB);
        (await bystander.AskAsync("s check 5", "s renew", "s check 5")).Should().Be("0", "the others go on");
        var figures = await daemon.Watcher.GetStatisticsAsync();
        figures.ReclaimedLeases.Should().BeGreaterThan(Kills / 3, "else the kills hit clients that held nothing");
        (figures.IdleBytes + figures.LeasedBytes).Should().Be(CapacityBytes, "the pool is kept warm");
        daemon.Process.CountOpenFiles().Should().BeEquivalentTo(files, "no descriptor leaks: a thousand clients left none");
        daemon.Process.ReadMemoryFiles().Should().HaveCount(segments, "no segment stays mapped that is not the pool's");
        daemon.Process.ReadStatusBytes("RssAnon:").Should().BeLessThanOrEqualTo(
            anonymous + 64 * MiB, "a thousand clients cost the daemon nothing but what its collector has not seen yet");
        await daemon.FindOnlyZerosAsync(CapacityBytes - 4 * MiB);
        (await bystander.AskAsync("s check 5")).Should().Be("0");
        daemon.Process.Errors.Should().BeEmpty("a client's death is nothing to warn of");
    }

    private static async Task KillAsync(Daemon daemon, Random random, int kills)
    {
        for (var i = 0; i < kills; i++)
        {
            var life = random.Next(3) == 0 ? OrderlyLife : Life;
            var steps = random.Next(life.Length + 1);
            var delay = TimeSpan.FromMicroseconds(random.Next(0, 3000));
            try
            {
                await KillOnceAsync(daemon, life, steps, delay);
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException(
                    string.Create(CultureInfo.InvariantCulture, $"Seed {Seed}: kill {i}, {delay.TotalMicroseconds} us after step {steps} of '{string.Join("; ", life)}'."),
                    failure);
            }
        }
    }

    /// <summary>The client is already at its next steps when it is killed: nobody tells it when to stop.</summary>
    private static async Task KillOnceAsync(Daemon daemon, string[] life, int steps, TimeSpan delay)
    {
        using var client = Puppet.Start();
        await client.SendAsync([$"s session {daemon.EndPoint}", .. life]);
        for (var step = 0; step <= steps; step++)
        {
            _ = await client.ReadAnswerAsync(step == 0 ? "s session" : life[step - 1]);
        }

        await Task.Delay(delay);
        await client.Process.KillAsync();
    }
}
