using System.Collections.Concurrent;
using LpLlm.Memory.Transport.Server;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Transport.Loopback;

/// <summary>Client and server in one process: the embedded server's transport, and the fake of unit tests. Messages are encoded as on any other.</summary>
/// <remarks>
/// Each instance is a network of its own: <c>loopback://name</c> is known within it only. A handler starts on its caller's thread. Descriptors
/// pass on Linux and Windows. The peer is this process, whose end the server does not outlive: so <see cref="PoolPeer.Exited"/> never completes. Its requests count
/// against no <see cref="PeerBudget"/>: nobody else can reach it, each is a copy of bytes that its caller holds itself meanwhile, and a connection that were
/// given up to make room for a foreign client would be the host's own.
/// </remarks>
internal sealed class LoopbackTransport(PoolTransportLimits? limits = null, TimeProvider? time = null, ILogger? logger = null) : PoolTransport
{
    private readonly ConcurrentDictionary<string, LoopbackListener> _listeners = new(StringComparer.Ordinal);
    private readonly PoolTransportLimits _limits = limits ?? new();

    public override string Scheme => "loopback";

    public override async ValueTask<PoolChannel> ConnectAsync(Uri endPoint, CancellationToken cancellationToken)
    {
        var name = Name(endPoint);
        cancellationToken.ThrowIfCancellationRequested();
        return _listeners.TryGetValue(name, out var listener)
            ? await listener.ConnectAsync(endPoint, cancellationToken).ConfigureAwait(false)
            : throw new PoolServerUnavailableException(name, "Nobody listens there: start the server first.");
    }

    public override ValueTask<PoolListener> BindAsync(Uri endPoint, IPoolConnectionHandler handler, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(handler);
        var name = Name(endPoint);
        cancellationToken.ThrowIfCancellationRequested();
        var listener = new LoopbackListener(
            endPoint, handler, _limits, time ?? TimeProvider.System, logger ?? NullLogger.Instance, stopped => _listeners.TryRemove(new(name, stopped)));
        return _listeners.TryAdd(name, listener)
            ? ValueTask.FromResult<PoolListener>(listener)
            : throw new InvalidOperationException($"'{name}' is already served: stop that server first, or choose another name.");
    }

    private string Name(Uri endPoint)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        return endPoint.IsAbsoluteUri && endPoint.Scheme == Scheme && endPoint.Host.Length > 0
            ? endPoint.AbsoluteUri
            : throw new ArgumentException($"'{endPoint}' is not an end point of this transport: it must look like loopback://name.", nameof(endPoint));
    }
}
