using LpLlm.Memory.Transport;

namespace LpLlm.Memory.Windows;

/// <summary>A named pipe is a transport like any other.</summary>
public sealed class NamedPipeContract : PoolTransportContract
{
    protected override PoolTransport CreateServerTransport(PoolTransportLimits limits) => new PooledTransport(limits);

    protected override PoolTransport CreateClientTransport(PoolTransport server, PoolTransportLimits limits) => new PooledTransport(limits);

    protected override Uri CreateEndPoint() => PipeNames.Next();
}
