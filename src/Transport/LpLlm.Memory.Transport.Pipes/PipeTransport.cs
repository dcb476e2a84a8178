namespace LpLlm.Memory.Transport.Pipes;

/// <summary>Unix domain sockets with System.IO.Pipelines framing; descriptors travel by SCM_RIGHTS.</summary>
internal sealed class PipeTransport : PoolTransport
{
    public PipeTransport(PoolTransportLimits? limits = null, TimeProvider? time = null) => throw new NotImplementedException($"{limits}{time}");

    public override string Scheme => "pipe";

    public override ValueTask<PoolChannel> ConnectAsync(Uri endPoint, CancellationToken cancellationToken) => throw new NotImplementedException();

    public override ValueTask<PoolListener> BindAsync(Uri endPoint, IPoolConnectionHandler handler, CancellationToken cancellationToken) => throw new NotImplementedException();
}
