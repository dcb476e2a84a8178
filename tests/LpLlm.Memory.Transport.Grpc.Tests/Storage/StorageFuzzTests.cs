using Google.Protobuf;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Grpc.Messages.Storage;
using LpLlm.Memory.Transport.Grpc.Server;
using LpLlm.Memory.Transport.Server;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Transport.Grpc.Storage;

/// <summary>A million requests of the original's contract, well-formed, mutated and random, at its handlers.</summary>
public class StorageFuzzTests
{
    private const int Requests = 250_000;
    private static readonly string[] ClientIds = ["a", "b", "", "c\n"];
    private static readonly int[] Numbers = [0, 1, -1, 5, 8, 4096, 1 << 20, (1 << 20) + 1, int.MaxValue, int.MinValue];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Row30_EveryHandler_AnswersOrRefusesAndLeaksNothing(int seed)
    {
        var settings = new PoolEngineSettings
        {
            CapacityBytes = 32 << 20,
            SegmentBytes = 2 << 20,
            QuarantineTime = TimeSpan.Zero,
            TrimPatience = TimeSpan.Zero,
        };
        await using var engine = new PoolEngine(settings, new MemoryFileSource(), TimeProvider.System, NullLogger.Instance);
        await engine.StartAsync(default);
        await using var service = new StorageService(engine, new StorageSettings(), TimeProvider.System, NullLogger.Instance);
        var exited = new TaskCompletionSource();
        using var connection = new GrpcConnection(
            new PoolPeer { Description = "fuzz", ProcessId = 1, UserId = 7, Exited = exited.Task },
            isVouchedFor: true, pool: null, refusal: null, new PeerBudget(long.MaxValue), new PoolTransportLimits(), TimeProvider.System, static () => { }, default);
        var methods = service.Methods.Select(method => method.Value).ToArray();
        var random = new Random(seed);
        var (answered, refused) = (0, 0);
        for (var i = 0; i < Requests; i++)
        {
            try
            {
                var replies = 0;
                await foreach (var reply in methods[random.Next(methods.Length)].Replies(connection, Next(random), default))
                {
                    replies++;
                }

                replies.Should().Be(1);
                answered++;
            }
            catch (PoolFaultException fault) when (fault.Code is not PoolFaultCode.Internal and not PoolFaultCode.Unknown)
            {
                refused++;
            }
        }

        answered.Should().BeGreaterThan(Requests / 10, $"seed {seed}");
        refused.Should().BeGreaterThan(Requests / 10, $"seed {seed}");
        exited.SetResult();
        await TestTimeouts.UntilAsync(() => engine.GetStatistics() is { LeasedBytes: 0, Leases: 0, Sessions: 0, PendingBytes: 0 });
    }

    private static byte[] Next(Random random)
    {
        if (random.Next(8) == 0)
        {
            var noise = new byte[random.Next(40)];
            random.NextBytes(noise);
            return noise;
        }

        var (id, number, other) = (Pick(ClientIds), Pick(Numbers), Pick(Numbers));
        IMessage message = random.Next(6) switch
        {
            0 => new AllocatePoolMemoryRequest { ClientId = id, SizeMb = random.Next(12) - 1 },
            1 => new FreePoolMemoryRequest { ClientId = id },
            2 => new AllocateFromPoolRequest { ClientId = id, SizeKb = number },
            3 => new FreeFromPoolRequest { ClientId = id, AllocationId = random.Next(20) },
            4 => new CopyToPoolRequest { ClientId = id, AllocationId = random.Next(20), ChunkOffset = number, Data = ByteString.CopyFrom(new byte[random.Next(64)]) },
            _ => new CopyFromPoolRequest { ClientId = id, AllocationId = random.Next(20), ChunkOffset = number, Size = Math.Min(other, 1 << 12) },
        };
        var bytes = message.ToByteArray();
        if (bytes.Length > 0 && random.Next(3) == 0)
        {
            bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
        }

        return bytes;

        T Pick<T>(T[] all) => all[random.Next(all.Length)];
    }
}
