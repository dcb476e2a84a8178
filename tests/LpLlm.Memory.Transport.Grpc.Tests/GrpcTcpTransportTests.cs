namespace LpLlm.Memory.Transport.Grpc;

public class GrpcTcpTransportTests : PoolTransportContract
{
    protected override bool TellsLoss => false;

    protected override PoolTransport CreateServerTransport(PoolTransportLimits limits) =>
        new GrpcTransport("grpc", new GrpcTransportSettings { Limits = limits });

    protected override PoolTransport CreateClientTransport(PoolTransport server, PoolTransportLimits limits) => CreateServerTransport(limits);

    protected override Uri CreateEndPoint() => new("grpc://127.0.0.1:0");
}
