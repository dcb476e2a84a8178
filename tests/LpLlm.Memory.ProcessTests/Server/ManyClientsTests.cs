using System.Net.Sockets;

namespace LpLlm.Memory.Tests.Server;

public class ManyClientsTests
{
    private const long MiB = 1 << 20;

    [Fact]
    public async Task Row28_TwoHundredClientsAtOnce_AreAllServedAndAllComeBack()
    {
        await using var daemon = await Daemon.StartAsync(new DaemonSettings { CapacityBytes = 400 * MiB });
        var puppets = Enumerable.Range(0, 20).Select(_ => Puppet.Start()).ToList();
        try
        {
            var answers = await Task.WhenAll(puppets.Select(puppet => puppet.AskAsync($"crowd {daemon.EndPoint} 10 2097152 10000")));

            answers.Should().AllBe("10 10", "everybody gets in, gets memory, and finds in it what was written");
            var figures = await daemon.Watcher.GetStatisticsAsync();
            figures.LeasedBytes.Should().Be(400 * MiB);
            figures.Sessions.Should().Be(201);
            await Task.WhenAll(puppets.Select(puppet => puppet.Process.KillAsync()));
        }
        finally
        {
            puppets.ForEach(puppet => puppet.Dispose());
        }

        await daemon.WaitForAllBackAsync();
        await daemon.FindOnlyZerosAsync(400 * MiB);
    }

    [Fact]
    public async Task Row21_FiftyClientsOfOneUser_NeverHaveMoreThanItsQuota()
    {
        const long Quota = 64 * MiB;
        await using var daemon = await Daemon.StartAsync(new DaemonSettings { CapacityBytes = 128 * MiB }.With("MaxUserBytes", Quota));
        var puppets = Enumerable.Range(0, 5).Select(_ => Puppet.Start()).ToList();
        try
        {
            await Task.WhenAll(puppets.Select(puppet => puppet.AskAsync($"crowd {daemon.EndPoint} 1 0 0"))); // started and connected
            var asking = Task.WhenAll(puppets.Select(puppet => puppet.AskAsync($"crowd {daemon.EndPoint} 10 2097152 0")));
            while (!asking.IsCompleted)
            {
                (await daemon.Watcher.GetStatisticsAsync()).LeasedBytes.Should().BeLessThanOrEqualTo(Quota);
            }

            (await asking).Sum(answer => int.Parse(answer.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture)).Should().Be(
                (int)(Quota / (2 * MiB)), "the quota is used up, and not by one byte exceeded");
            (await daemon.Watcher.GetStatisticsAsync()).LeasedBytes.Should().Be(Quota);
            await Task.WhenAll(puppets.Select(puppet => puppet.Process.KillAsync()));
        }
        finally
        {
            puppets.ForEach(puppet => puppet.Dispose());
        }

        await daemon.WaitForAllBackAsync();
        await daemon.FindOnlyZerosAsync(Quota); // it is refunded, once
    }

    [SkippableFact]
    public async Task Row09_MoreConnectionsThanDescriptors_TheDaemonLivesAndServesOn()
    {
        Skip.IfNot(File.Exists("/usr/bin/prlimit"), "prlimit (util-linux) is not installed.");
        await using var daemon = await Daemon.StartAsync(new DaemonSettings { CapacityBytes = 8 * MiB, Prefix = ["prlimit", "--nofile=256:256"] });
        using var client = await Puppet.StartSessionAsync(daemon);
        await client.AskAsync("s acquire 2097152", "s map", "s fill 1");
        var sockets = new List<Socket>();
        try
        {
            for (var i = 0; i < 400; i++)
            {
                sockets.Add(new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false });
                TryConnect(sockets[^1], daemon.SocketPath);
            }

            sockets.Count(socket => socket.Connected).Should().BeGreaterThan(100, "else the descriptors never got scarce");
            (await client.AskAsync("s check 1", "s renew", "s grow 2097152", "s shrink", "s check 1")).Should().Be("0", "who was there is served");
        }
        finally
        {
            sockets.ForEach(socket => socket.Dispose());
        }

        await daemon.FindOnlyZerosAsync(4 * MiB); // a new client gets in
        (await client.AskAsync("s check 1")).Should().Be("0");
    }

    [Fact]
    public async Task Row27_PoolFull_IsATypedRefusalAndRecovers()
    {
        await using var daemon = await Daemon.StartAsync();
        using var greedy = await Puppet.StartSessionAsync(daemon);
        using var other = Puppet.Start();
        await greedy.AskAsync("s acquire 33554432 5000", "s map");
        await other.AskAsync($"p pool server {daemon.EndPoint} 16777216 4194304");

        (await FluentActions.Awaiting(() => other.AskAsync("p rent 4194304")).Should().ThrowAsync<PuppetException>())
            .Which.Type.Should().BeOneOf(nameof(PinnedMemoryExhaustedException), nameof(MemorySourceException));

        await greedy.AskAsync("s release");
        await daemon.WaitForAllBackAsync(otherSessions: 2);
        await Eventually.TrueAsync(() => other.SucceedsAsync("p rent 4194304", nameof(PinnedMemoryExhaustedException))); // it remembers for a while
        await other.AskAsync("p fill 0 1");
        (await other.AskAsync("p check 0 1")).Should().Be("0");
    }

    /// <summary>Never waits: a full queue is an answer too.</summary>
    private static void TryConnect(Socket socket, string path)
    {
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException full) when (full.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
        {
            // It stays unconnected.
        }
    }
}
