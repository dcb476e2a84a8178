namespace LpLlm.Memory.Tests.Server;

/// <summary>A server pool is a pool like any other: over the server of its own process.</summary>
public sealed class EmbeddedServerPoolContract : AnySizePoolContract, IDisposable
{
    private readonly PoolHosts _hosts = new();

    public void Dispose() => _hosts.Dispose();

    protected override IPinnedMemoryPool Create(int blocks) => _hosts.CreatePool(blocks * BlockBytes, "embedded");
}

/// <summary>A server pool is a pool like any other: over a socket.</summary>
public sealed class PipeServerPoolContract : AnySizePoolContract, IDisposable
{
    private readonly PoolHosts _hosts = new();

    public void Dispose() => _hosts.Dispose();

    protected override IPinnedMemoryPool Create(int blocks) => _hosts.CreatePool(blocks * BlockBytes, _hosts.PipeEndPoint);
}
