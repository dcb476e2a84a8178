using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Models;
using LpLlm.Memory.Transport.Server;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Transport.Grpc;

/// <summary>An engine over real memory behind a gRPC listener, as the daemon has it.</summary>
internal sealed class StorageServer : IAsyncDisposable
{
    public const int ChunkBytes = 2 << 20;
    public const long CapacityBytes = 128L << 20;

    private StorageServer(PoolEngine engine, MemoryFileSource source, PoolListener listener) => (Engine, Source, Listener) = (engine, source, listener);

    public PoolEngine Engine { get; }

    public MemoryFileSource Source { get; }

    public PoolListener Listener { get; }

    public Uri EndPoint => Listener.EndPoint;

    public static async Task<StorageServer> StartAsync(
        string endPoint = "grpc://127.0.0.1:0", GrpcTransportSettings? settings = null, TimeProvider? time = null, int chunkBytes = ChunkBytes,
        IModelService? models = null)
    {
        var source = new MemoryFileSource();
        var engine = new PoolEngine(
            new PoolEngineSettings { CapacityBytes = CapacityBytes, SegmentBytes = chunkBytes, QuarantineTime = TimeSpan.Zero, TrimPatience = TimeSpan.Zero },
            source,
            time ?? TimeProvider.System,
            NullLogger.Instance);
        await engine.StartAsync(default);
        var service = new PoolService(engine, new PoolServicePolicy { OwnUserId = SocketNative.GetUserId() }, NullLogger.Instance, models: models);
        var transport = new GrpcTransport(new Uri(endPoint).Scheme, settings ?? new GrpcTransportSettings(), time);
        return new StorageServer(engine, source, await transport.BindAsync(new Uri(endPoint), service, default));
    }

    public async ValueTask DisposeAsync()
    {
        await Listener.DisposeAsync();
        await Engine.DisposeAsync();
    }
}
