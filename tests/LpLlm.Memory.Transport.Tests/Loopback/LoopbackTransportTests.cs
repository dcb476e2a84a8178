using LpLlm.Memory.TestKit;

namespace LpLlm.Memory.Transport.Loopback;

public class LoopbackTransportTests : PoolTransportContract
{
    protected override PoolTransport CreateServerTransport(PoolTransportLimits limits) => new LoopbackTransport(limits);

    protected override PoolTransport CreateClientTransport(PoolTransport server, PoolTransportLimits limits) => server;

    protected override Uri CreateEndPoint() => new("loopback://test");
}
