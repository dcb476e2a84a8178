using System.Globalization;

namespace LpLlm.Memory.Tests.Server;

public class ShutdownTests
{
    private static string[] Work => ["s acquire 2097152", "s map", "s fill 1", "s check 1", "s release"];

    [Fact]
    public async Task Row33_Terminate_UnderLoad_AnswersEveryRequestAndExitsWithZero()
    {
        await using var daemon = await Daemon.StartAsync(new DaemonSettings().With("DrainTimeout", "00:00:02"));
        using var first = await Puppet.StartSessionAsync(daemon);
        using var second = await Puppet.StartSessionAsync(daemon);
        string[] work = [.. Enumerable.Repeat(Work, 200).SelectMany(commands => commands)];
        await first.SendAsync(work);
        await second.SendAsync(work);
        _ = await first.ReadAnswerAsync(work[0]);
        _ = await second.ReadAnswerAsync(work[0]);

        daemon.Process.RequestEnd();

        await AnsweredAsync(first, work.Length - 1);
        await AnsweredAsync(second, work.Length - 1);
        await first.Process.KillAsync(); // it waits for clients to go
        await second.Process.KillAsync();
        (await daemon.Process.WaitForExitAsync()).Should().Be(0, daemon.Process.Errors);
        File.Exists(daemon.SocketPath).Should().BeFalse("it leaves no socket behind");
    }

    private static async Task AnsweredAsync(Puppet client, int count)
    {
        for (var i = 0; i < count; i++)
        {
            try
            {
                _ = await client.ReadAnswerAsync(i.ToString(CultureInfo.InvariantCulture));
            }
            catch (PuppetException refused)
            {
                refused.Type.Should().BeOneOf(
                    [nameof(Transport.PoolFaultException), nameof(PoolServerUnavailableException), "InvalidOperationException"], refused.Message);
            }
        }
    }
}
