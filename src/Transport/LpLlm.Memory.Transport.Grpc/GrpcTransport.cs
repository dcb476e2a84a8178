using System.Net;
using LpLlm.Memory.Transport.Grpc.Client;
using LpLlm.Memory.Transport.Grpc.Server;
using LpLlm.Memory.Transport.Grpc.Storage;
using LpLlm.Memory.Transport.Server;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Transport.Grpc;

/// <summary>gRPC over HTTP/2: Kestrel on the server's side, <see cref="SocketsHttpHandler"/> on the client's.</summary>
/// <remarks>
/// A listener hosts the pool's own calls, <c>grpc.health.v1.Health</c>, server reflection and, where the handler has an engine, the original's
/// <c>storage.Storage</c>.
/// </remarks>
internal sealed class GrpcTransport : PoolTransport
{
    private readonly GrpcTransportSettings _settings;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _loggers;

    public GrpcTransport(string scheme, GrpcTransportSettings settings, TimeProvider? time = null, ILoggerFactory? loggers = null)
    {
        if (scheme is not (GrpcEndPoint.Tcp or GrpcEndPoint.Unix))
        {
            throw new ArgumentException($"'{scheme}' is neither '{GrpcEndPoint.Tcp}' nor '{GrpcEndPoint.Unix}'.", nameof(scheme));
        }

        Scheme = scheme;
        (_settings, _time, _loggers) = (settings, time ?? TimeProvider.System, loggers ?? NullLoggerFactory.Instance);
    }

    public override string Scheme { get; }

    public override async ValueTask<PoolChannel> ConnectAsync(Uri endPoint, CancellationToken cancellationToken)
    {
        GrpcEndPoint.Check(endPoint, Scheme);
        var channel = new GrpcChannel(endPoint, _settings);
        try
        {
            await channel.GreetAsync(cancellationToken).ConfigureAwait(false);
            return channel;
        }
        catch
        {
            await channel.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public override async ValueTask<PoolListener> BindAsync(Uri endPoint, IPoolConnectionHandler handler, CancellationToken cancellationToken)
    {
        GrpcEndPoint.Check(endPoint, Scheme);
        ArgumentNullException.ThrowIfNull(handler);
        cancellationToken.ThrowIfCancellationRequested();
        var socket = Scheme == GrpcEndPoint.Unix ? ListenSocket.BindUnix(endPoint, handler.AdmitsOtherUsers) : BindTcp(endPoint);
        List<IGrpcService> services = [new PoolMethods()];
        if (handler is IPoolEngineHost { Engine: var engine, Models: var models })
        {
            services.Add(new StorageService(engine, _settings.Storage, _time, _loggers.CreateLogger<StorageService>()));
            services.Add(new StorageModels(engine, models, _settings.Storage, _time));
        }

        return await GrpcListener.StartAsync(socket, handler, services, _settings, _time, _loggers, cancellationToken).ConfigureAwait(false);
    }

    private ListenSocket BindTcp(Uri endPoint)
    {
        var address = GrpcEndPoint.AddressOf(endPoint);
        if (!IPAddress.IsLoopback(address) && !(_settings.AllowRemote && _settings.AccessToken is not null))
        {
            throw new InvalidOperationException(
                $"{endPoint} can be reached from other hosts. Listen at 127.0.0.1 or [::1], or set both {nameof(GrpcTransportSettings.AllowRemote)} and {nameof(GrpcTransportSettings.AccessToken)}.");
        }

        return ListenSocket.BindTcp(endPoint, address);
    }
}
