using System.Runtime.InteropServices;
using LpLlm.Memory.TestKit;
using static LpLlm.Memory.Transport.Client.ServerHarness;

namespace LpLlm.Memory.Transport.Client;

/// <summary>
/// Clients and a server under dice: calls lose their request or their reply, connections drop, the server is killed and started anew. Whatever
/// happens, no client loses a byte, no address changes, and when all is given back the server holds nothing.
/// </summary>
public class ServerMemorySimulationTests
{
    private const int Clients = 2;
    private const int Steps = 30;
    private const int StrideBytes = 128 << 10;

    [Theory]
    [InlineData(0)]
    [InlineData(50)]
    [InlineData(100)]
    [InlineData(150)]
    public async Task FiftySeeds_KeepEveryByteAndLeakNone(int firstSeed)
    {
        for (var seed = firstSeed; seed < firstSeed + 50; seed++)
        {
            await RunAsync(seed);
        }
    }

    private static async Task RunAsync(int seed)
    {
        await using var server = new ServerHarness();
        var dice = new Random(seed);
        server.Network.Decide = _ =>
        {
            int roll;
            lock (dice)
            {
                roll = dice.Next(40);
            }

            return ValueTask.FromResult(roll switch { 0 => CallFault.LostRequest, 1 => CallFault.LostReply, _ => CallFault.None });
        };
        using var end = new CancellationTokenSource();
        var chaos = ChaosAsync(server, new Random(seed + 1000), end.Token);
        var sources = Enumerable.Range(0, Clients).Select(_ => server.CreateSource(options: Options(capacityBytes: 64 * MiB))).ToList();
        try
        {
            await Task.WhenAll(sources.Select((source, index) => Task.Run(() => ClientAsync(source, new Random((seed * Clients) + index), seed)))).DefaultTimeout();
        }
        finally
        {
            await end.CancelAsync();
            await chaos.DefaultTimeout();
        }

        server.Network.Decide = _ => ValueTask.FromResult(CallFault.None);
        (await ServerMemorySourceFaultTests.ReserveUntilThereAsync(sources[0], 32 * MiB).DefaultTimeout()).Dispose(); // nothing of its range is lost
        await TestTimeouts.UntilAsync(() => server.Statistics is { LeasedBytes: 0, PendingBytes: 0, Waiting: 0 });
        foreach (var source in sources)
        {
            await source.DisposeAsync();
        }

        server.Statistics.Leases.Should().Be(0, $"seed {seed}");
        await TestTimeouts.UntilAsync(() => server.Memory.LiveBytes == server.Statistics.IdleBytes);
        server.Logger.Entries.Should().NotContain(entry => entry.Id == 2033 || entry.Id == 2040 || entry.Id == 2041, $"seed {seed}");
    }

    private static async Task ChaosAsync(ServerHarness server, Random dice, CancellationToken end)
    {
        while (!end.IsCancellationRequested)
        {
            await Task.Delay(dice.Next(1, 15), CancellationToken.None);
            switch (dice.Next(5))
            {
                case 0:
                    await server.StopAsync();
                    await Task.Delay(dice.Next(5), CancellationToken.None);
                    await server.StartAsync();
                    break;
                case 1 or 2:
                    await server.Network.DropAsync();
                    break;
            }
        }
    }

    private static async Task ClientAsync(ServerMemorySource source, Random dice, int seed)
    {
        var held = new List<(MemoryRegion Region, long Pattern)>();
        for (var step = 0; step < Steps; step++)
        {
            if (held.Count < 4 && dice.Next(3) > 0)
            {
                using var patience = new CancellationTokenSource(dice.Next(8) == 0 ? dice.Next(3) : 10_000);
                try
                {
                    var lengthBytes = dice.NextInt64(1, 8 * MiB);
                    var region = dice.Next(3) == 0
                        ? await source.ReserveSharedAsync(lengthBytes, patience.Token)
                        : await source.ReserveAsync(lengthBytes, null, patience.Token);
                    Words(region).ToArray().Should().OnlyContain(word => word == 0, $"fresh memory is zeroed (seed {seed})");
                    held.Add((region, dice.NextInt64()));
                    Write(region, held[^1].Pattern);
                }
                catch (Exception e) when (e is PoolServerUnavailableException or OperationCanceledException)
                {
                    await Task.Delay(1);
                }
            }
            else if (held.Count > 0)
            {
                var at = dice.Next(held.Count);
                Check(held[at].Region, held[at].Pattern, seed);
                held[at].Region.Dispose();
                held.RemoveAt(at);
            }
        }

        foreach (var (region, pattern) in held)
        {
            Check(region, pattern, seed);
            region.Dispose();
        }
    }

    private static List<long> Words(MemoryRegion region)
    {
        var words = new List<long>();
        for (var at = 0; at < region.LengthBytes; at += StrideBytes)
        {
            words.Add(MemoryMarshal.Read<long>(Bytes(region)[at..]));
        }

        return words;
    }

    private static void Write(MemoryRegion region, long pattern)
    {
        for (var at = 0; at < region.LengthBytes; at += StrideBytes)
        {
            MemoryMarshal.Write(Bytes(region)[at..], pattern + at);
        }
    }

    private static void Check(MemoryRegion region, long pattern, int seed) =>
        Words(region).Should().Equal(Enumerable.Range(0, (int)(region.LengthBytes / StrideBytes)).Select(i => pattern + ((long)i * StrideBytes)), $"seed {seed}");
}
