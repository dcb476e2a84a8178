using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Loopback;
using LpLlm.Memory.Transport.Server;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Transport.Client;

/// <summary>A server of real memory files in this process, which can be restarted, and clients of it over a network that can fail.</summary>
internal sealed class ServerHarness : IAsyncDisposable
{
    public const long MiB = 1L << 20;
    public static readonly Uri EndPoint = new("loopback://pool");

    private readonly Func<PoolEngineSettings, PoolEngineSettings> _configure;
    private readonly LoopbackTransport _loopback = new();
    private readonly IDeviceSet? _devices;
    private PoolListener? _listener;
    private PoolService? _service;

    public ServerHarness(Func<PoolEngineSettings, PoolEngineSettings>? configure = null, IDeviceSet? devices = null)
    {
        _devices = devices;
        _configure = configure ?? (settings => settings);
        Network = new FaultyTransport(_loopback);
        Engine = null!;
        StartAsync().GetAwaiter().GetResult();
    }

    public MemfdSegmentSource Memory { get; private set; } = new();

    public FaultyTransport Network { get; }

    public PoolEngine Engine { get; private set; }

    public CollectingLogger Logger { get; } = new();

    public EngineStatistics Statistics => Engine.GetStatistics();

    /// <summary>What the server believes of its clients, where that is not the truth.</summary>
    public Func<PoolPeer, PoolPeer> Disguise { get; set; } = peer => peer;

    public TimeSpan RenewInterval { get; set; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Starts anew: new engine, new memory, the same address.</summary>
    public async Task StartAsync()
    {
        Memory = new MemfdSegmentSource();
        Engine = new PoolEngine(
            _configure(new PoolEngineSettings { CapacityBytes = 64 * MiB, SegmentBytes = 4 * MiB, QuarantineTime = TimeSpan.FromMilliseconds(1) }),
            Memory,
            TimeProvider.System,
            NullLogger.Instance);
        var policy = new PoolServicePolicy { OwnUserId = 0, RenewInterval = RenewInterval };
        _service = new PoolService(Engine, policy, Logger, devices: _devices);
        _listener = await _loopback.BindAsync(EndPoint, new Disguised(_service, this), CancellationToken.None);
    }

    /// <summary>Ends as a killed server does: no goodbye, and its memory lives on in those who have mapped it.</summary>
    public async Task StopAsync()
    {
        await _listener!.DisposeAsync();
        await Engine.DisposeAsync();
        _service!.Dispose();
    }

    public static PoolClientOptions Options(long capacityBytes = 32 * MiB, SegmentPinning pinning = SegmentPinning.Eager) => new()
    {
        EndPoint = EndPoint,
        ClientName = "test",
        CapacityBytes = capacityBytes,
        Pinning = pinning,
        RequestTimeout = TimeSpan.FromSeconds(10),
        AcquireTimeout = TimeSpan.FromSeconds(10),
        ReconnectInterval = TimeSpan.FromMilliseconds(2),
        EagerPieceBytes = 2 * MiB,
        LazyPieceBytes = 2 * MiB,
    };

    public ServerMemorySource CreateSource(IHostPinner? pinner = null, PoolClientOptions? options = null) =>
        new(options ?? Options(), Network, pinner, TimeProvider.System, Logger);

    /// <summary>Waits until nothing is leased, pending or waiting.</summary>
    public Task UntilEmptyAsync() => TestTimeouts.UntilAsync(() => Statistics is { LeasedBytes: 0, PendingBytes: 0, Leases: 0, Waiting: 0 });

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await Network.DropAsync();
    }

    public static Token TokenOf(MemoryRegion region) => ((ServerMemoryRegion)region).Token;

    public static unsafe Span<byte> Bytes(MemoryRegion region) => new((void*)region.Address, checked((int)region.LengthBytes));

    private sealed class Disguised(IPoolConnectionHandler inner, ServerHarness owner) : IPoolConnectionHandler
    {
        public IPoolConnection Accept(PoolPeer peer) => inner.Accept(owner.Disguise(peer));
    }
}
