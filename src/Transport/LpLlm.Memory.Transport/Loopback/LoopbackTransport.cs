namespace LpLlm.Memory.Transport.Loopback;

/// <summary>Client and server in one process: the embedded server's transport, and the fake of unit tests. Messages are encoded as on any other.</summary>
/// <remarks>Each instance is a network of its own: <c>loopback://name</c> is known within it only.</remarks>
internal sealed class LoopbackTransport : PoolTransport
{
    public LoopbackTransport(PoolTransportLimits? limits = null) => throw new NotImplementedException($"{limits}");

    public override string Scheme => "loopback";

    public override ValueTask<PoolChannel> ConnectAsync(Uri endPoint, CancellationToken cancellationToken) => throw new NotImplementedException();

    public override ValueTask<PoolListener> BindAsync(Uri endPoint, IPoolConnectionHandler handler, CancellationToken cancellationToken) => throw new NotImplementedException();
}
