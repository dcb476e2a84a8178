using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>A Kestrel server on one bound socket.</summary>
internal sealed class GrpcListener : PoolListener
{
    /// <summary>How long connections have to end by themselves, once their calls have been cut off. Then they are aborted.</summary>
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(2);

    private readonly ListenSocket _socket;
    private readonly AcceptGate _gate;
    private readonly GrpcConnections _connections;
    private readonly KestrelServer _server;
    private readonly IReadOnlyList<IGrpcService> _services;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lazy<Task> _disposal;

    private GrpcListener(
        ListenSocket socket, IPoolConnectionHandler handler, IReadOnlyList<IGrpcService> services, GrpcTransportSettings settings, TimeProvider time,
        ILoggerFactory loggers)
    {
        var logger = loggers.CreateLogger<GrpcTransport>();
        (_socket, _services) = (socket, services);
        _gate = new AcceptGate(socket.Socket, settings.Limits, logger);
        _connections = new GrpcConnections(handler, settings.Limits, _gate.MaxConnections, settings.AccessToken is not null, time, logger);
        _server = new KestrelServer(KestrelSettings.Create(settings.Limits, _gate.MaxConnections, socket.Socket.LocalEndPoint!, _connections.RunAsync), _gate, loggers);
        _disposal = new Lazy<Task>(StopAsync);
        var health = new HealthService(services.Select(static service => service.Descriptor.FullName).ToHashSet(), _gate.Unbound);
        var reflection = new ReflectionService(services.Append(health).Select(static service => service.Descriptor));
        Methods = services.Concat([health, reflection]).SelectMany(static service => service.Methods).ToDictionary();
    }

    public override Uri EndPoint => _socket.EndPoint;

    private Dictionary<string, GrpcMethod> Methods { get; }

    public static async Task<GrpcListener> StartAsync(
        ListenSocket socket, IPoolConnectionHandler handler, IReadOnlyList<IGrpcService> services, GrpcTransportSettings settings, TimeProvider time,
        ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var listener = new GrpcListener(socket, handler, services, settings, time, loggers);
        var logger = loggers.CreateLogger<GrpcTransport>();
        try
        {
            // On a Unix socket the kernel says who is there.
            var token = socket.IsUnix || settings.AccessToken is null ? null : new AccessToken(settings.AccessToken);
            var calls = new GrpcCalls(listener.Methods, settings.Limits, token, logger, listener._stopping.Token);
            await listener._server.StartAsync(new GrpcApplication(calls, logger), cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await listener.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        GrpcLog.Listening(logger, socket.EndPoint);
        return listener;
    }

    public override ValueTask StopAcceptingAsync() => _gate.UnbindAsync();

    public override ValueTask DisposeAsync() => new(_disposal.Value);

    private async Task StopAsync()
    {
        await _gate.UnbindAsync().ConfigureAwait(false);
        await _stopping.CancelAsync().ConfigureAwait(false);
        using (var timeout = new CancellationTokenSource(StopTimeout))
        {
            await _server.StopAsync(timeout.Token).ConfigureAwait(false);
        }

        _server.Dispose();
        await _gate.DisposeAsync().ConfigureAwait(false);
        foreach (var service in _services.OfType<IAsyncDisposable>())
        {
            await service.DisposeAsync().ConfigureAwait(false);
        }

        _socket.Dispose();
        _stopping.Dispose();
    }
}
