using LpLlm.Memory.TestKit;

namespace LpLlm.Memory.Transport.Pipes;

public sealed class PipeTransportContractTests : PoolTransportContract, IDisposable
{
    private readonly SocketDirectory _directory = new();

    protected override PoolTransport CreateServerTransport(PoolTransportLimits limits) => new PipeTransport(limits);

    protected override PoolTransport CreateClientTransport(PoolTransport server, PoolTransportLimits limits) => new PipeTransport(limits);

    protected override Uri CreateEndPoint() => _directory.EndPoint;

    public void Dispose() => _directory.Dispose();
}
