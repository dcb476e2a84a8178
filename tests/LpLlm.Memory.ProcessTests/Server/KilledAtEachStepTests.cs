using LpLlm.Memory.Transport;

namespace LpLlm.Memory.Tests.Server;

/// <summary>Beside the thousand kills at random: one within each step of the protocol, where the client itself has stopped.</summary>
public class KilledAtEachStepTests
{
    private const long MiB = 1 << 20;
    private const long CapacityBytes = 32 * MiB;

    /// <summary>From connecting to the goodbye; each stop is somewhere in it.</summary>
    private static readonly string[] Life =
        ["m reserve 4194304", "m fill 0 7", "m reserve 2097152", "m fill 1 8", "m give 1", "m give 0", "m close"];

    [Fact]
    public async Task Row01_S5_Kill_WithinEachStep_AllMemoryComesBackZeroed()
    {
        await using var daemon = await Daemon.StartAsync(new DaemonSettings { CapacityBytes = CapacityBytes });
        using var bystander = await Puppet.StartSessionAsync(daemon);
        await bystander.AskAsync("s acquire 4194304", "s map", "s fill 5");
        PoolMethod[] methods = [PoolMethod.Hello, PoolMethod.Acquire, PoolMethod.Grow, PoolMethod.Shrink, PoolMethod.Release];
        foreach (var method in methods)
        {
            foreach (var point in new[] { "before-send", "after-send", "replied" })
            {
                await KillAtAsync(daemon, $"stopped {point} {method}", $"m stopping {daemon.EndPoint} 33554432 {point} {method}", Life);
            }
        }

        await KillAtAsync(daemon, "ok 0", $"m source {daemon.EndPoint} 33554432", Life[..1]); // mapped, and not yet written to
        await KillAtAsync(daemon, "ok writing", $"m source {daemon.EndPoint} 33554432", [.. Life[..1], "m write 0 9"]);

        (await bystander.AskAsync("s check 5")).Should().Be("0", "the others go on");
        await daemon.FindOnlyZerosAsync(CapacityBytes - 4 * MiB);
        daemon.Process.Errors.Should().BeEmpty("a client's death is nothing to warn of");
    }

    private static async Task KillAtAsync(Daemon daemon, string step, string start, string[] life)
    {
        using var client = Puppet.Start();
        await client.SendAsync([start, .. life]);
        while (await client.Process.ReadLineAsync() is var line && !line.StartsWith(step, StringComparison.Ordinal))
        {
            line.Should().StartWith("ok", $"it is on its way to '{step}'");
        }

        await client.Process.KillAsync();
        await daemon.WaitForAllBackAsync(otherSessions: 1, 4 * MiB);
    }
}
