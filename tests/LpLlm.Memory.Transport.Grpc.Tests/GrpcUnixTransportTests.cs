namespace LpLlm.Memory.Transport.Grpc;

public sealed class GrpcUnixTransportTests : PoolTransportContract, IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("grpc");

    public void Dispose() => _directory.Delete(recursive: true);

    protected override bool TellsLoss => false;

    protected override PoolTransport CreateServerTransport(PoolTransportLimits limits) =>
        new GrpcTransport("grpc+unix", new GrpcTransportSettings { Limits = limits });

    protected override PoolTransport CreateClientTransport(PoolTransport server, PoolTransportLimits limits) => CreateServerTransport(limits);

    protected override Uri CreateEndPoint() => new($"grpc+unix://{_directory.FullName}/pool.sock");
}
