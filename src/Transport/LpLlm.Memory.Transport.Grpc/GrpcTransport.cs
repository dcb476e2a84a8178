namespace LpLlm.Memory.Transport.Grpc;

/// <summary>gRPC over HTTP/2: Kestrel on the server's side, <see cref="SocketsHttpHandler"/> on the client's.</summary>
internal sealed class GrpcTransport : PoolTransport
{
    public GrpcTransport(string scheme, GrpcTransportSettings settings) => throw new NotImplementedException($"{scheme}{settings}");

    public override string Scheme => throw new NotImplementedException();

    public override ValueTask<PoolChannel> ConnectAsync(Uri endPoint, CancellationToken cancellationToken) => throw new NotImplementedException();

    public override ValueTask<PoolListener> BindAsync(Uri endPoint, IPoolConnectionHandler handler, CancellationToken cancellationToken) => throw new NotImplementedException();
}
