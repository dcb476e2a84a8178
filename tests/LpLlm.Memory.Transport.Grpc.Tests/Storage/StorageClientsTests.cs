using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Grpc.Server;
using LpLlm.Memory.Transport.Server;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Transport.Grpc.Storage;

/// <summary>When a storage client's memory goes back: by its processes where they are known, else by its connections.</summary>
public sealed class StorageClientsTests : IAsyncLifetime, IAsyncDisposable
{
    private readonly ManualTimeProvider _time = new();
    private PoolEngine _engine = null!;
    private StorageService _service = null!;

    public async Task InitializeAsync()
    {
        var settings = new PoolEngineSettings
        {
            CapacityBytes = 64 << 20,
            SegmentBytes = 2 << 20,
            SessionTimeout = TimeSpan.FromSeconds(30),
            QuarantineTime = TimeSpan.Zero,
            TrimPatience = TimeSpan.Zero,
        };
        _engine = new PoolEngine(settings, new MemoryFileSource(), _time, NullLogger.Instance);
        await _engine.StartAsync(default);
        _service = new StorageService(_engine, new StorageSettings(), _time, NullLogger.Instance);
    }

    public async Task DisposeAsync()
    {
        await _service.DisposeAsync();
        await _engine.DisposeAsync();
    }

    ValueTask IAsyncDisposable.DisposeAsync() => new(DisposeAsync());

    [Fact]
    public async Task S5_UnknownProcess_KeepsItsMemoryWhileConnectedAndLosesItATimeoutLater()
    {
        using var closed = new CancellationTokenSource();
        using var connection = Connect(new PoolPeer { Description = "far away" }, closed.Token);
        await AllocateAsync(connection, "far");
        for (var i = 0; i < 12; i++)
        {
            await PassAsync(TimeSpan.FromSeconds(10));
        }

        _engine.GetStatistics().Leases.Should().Be(1, "its connection is open");

        await closed.CancelAsync();
        await PassAsync(TimeSpan.FromSeconds(10));
        _engine.GetStatistics().Leases.Should().Be(1, "it may come back");
        await TestTimeouts.UntilAsync(() =>
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            return _engine.GetStatistics() is { Leases: 0, LeasedBytes: 0, PendingBytes: 0 };
        });
        (await CallAsync(connection, "FreePoolMemory", new Messages.Storage.FreePoolMemoryRequest { ClientId = "far" })).Should().BeEmpty("false is the default");
    }

    [Fact]
    public async Task S5_UnknownProcessThatConnectsForEachCall_KeepsItsMemory()
    {
        // Each connection ends before the upkeep can see it; 25 s between calls, of 30 s that a session may be silent.
        for (var i = 0; i < 4; i++)
        {
            using var closed = new CancellationTokenSource();
            using var connection = Connect(new PoolPeer { Description = "far away" }, closed.Token);
            await AllocateAsync(connection, "far");
            await closed.CancelAsync();
            for (var second = 0; second < 25; second++)
            {
                await PassAsync(TimeSpan.FromSeconds(1));
            }

            _engine.GetStatistics().Leases.Should().Be(1, "call {0} was 25 s ago", i);
        }
    }

    [Fact]
    public async Task S5_KnownProcesses_TheLastOneGoneGivesTheMemoryBack()
    {
        var (first, second) = (new TaskCompletionSource(), new TaskCompletionSource());
        using var one = Connect(new PoolPeer { Description = "1", ProcessId = 1, UserId = 7, Exited = first.Task });
        using var two = Connect(new PoolPeer { Description = "2", ProcessId = 2, UserId = 7, Exited = second.Task });
        await AllocateAsync(one, "shared");
        await AllocateAsync(two, "shared");
        _engine.List().Should().ContainSingle().Which.HolderCount.Should().Be(2);

        first.SetResult();

        await TestTimeouts.UntilAsync(() => _engine.List().Single().HolderCount == 1);
        second.SetResult();
        await TestTimeouts.UntilAsync(() => _engine.GetStatistics() is { Leases: 0, Sessions: 0, PendingBytes: 0 });
    }

    [Fact]
    public async Task AllocateAndFree_OfAProcessThatLivesOn_LeaveNothingInTheServer()
    {
        var exited = new TaskCompletionSource();
        using var connection = Connect(new PoolPeer { Description = "1", ProcessId = 1, UserId = 7, Exited = exited.Task });

        var session = await AllocateAndFreeAsync(connection);
        await TestTimeouts.UntilAsync(() =>
        {
            GC.Collect();
            return !session.IsAlive;
        });

        GC.KeepAlive(exited);
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private async Task<WeakReference> AllocateAndFreeAsync(GrpcConnection connection)
    {
        await AllocateAsync(connection, "again");
        var owner = new WeakReference(_engine.List().Should().ContainSingle().Which.Owner);
        await CallAsync(connection, "FreePoolMemory", new Messages.Storage.FreePoolMemoryRequest { ClientId = "again" });
        _engine.GetStatistics().Sessions.Should().Be(0);
        return owner;
    }

    [Fact]
    public async Task S9_SameNameOfAnotherUser_IsAnotherClient()
    {
        using var one = Connect(new PoolPeer { Description = "1", ProcessId = 1, UserId = 7, Exited = new TaskCompletionSource().Task });
        using var two = Connect(new PoolPeer { Description = "2", ProcessId = 2, UserId = 8, Exited = new TaskCompletionSource().Task });
        await AllocateAsync(one, "name");

        (await CallAsync(two, "FreePoolMemory", new Messages.Storage.FreePoolMemoryRequest { ClientId = "name" })).Should().BeEmpty("false is the default");

        _engine.GetStatistics().Leases.Should().Be(1);
        (await CallAsync(one, "FreePoolMemory", new Messages.Storage.FreePoolMemoryRequest { ClientId = "name" })).Should().NotBeEmpty();
        await TestTimeouts.UntilAsync(() => _engine.GetStatistics().Leases == 0);
    }

    private static GrpcConnection Connect(PoolPeer peer, CancellationToken closed = default) =>
        new(peer, isVouchedFor: true, pool: null, refusal: null, new PeerBudget(long.MaxValue), new PoolTransportLimits(), TimeProvider.System, static () => { }, closed);

    private Task<byte[]> AllocateAsync(GrpcConnection connection, string clientId) =>
        CallAsync(connection, "AllocatePoolMemory", new Messages.Storage.AllocatePoolMemoryRequest { ClientId = clientId, SizeMb = 4 });

    private async Task<byte[]> CallAsync(GrpcConnection connection, string name, Google.Protobuf.IMessage request)
    {
        var method = _service.Methods.Single(method => method.Key == $"/storage.Storage/{name}").Value;
        await foreach (var reply in method.Replies(connection, Google.Protobuf.MessageExtensions.ToByteArray(request), default))
        {
            return reply.ToArray();
        }

        throw new InvalidOperationException("No reply.");
    }

    /// <summary>Lets time pass, and the upkeep that it sets off run: then its timer and the engine's are set again.</summary>
    private Task PassAsync(TimeSpan time)
    {
        _time.Advance(time);
        return TestTimeouts.UntilAsync(() => _time.ActiveTimers >= 2);
    }
}
