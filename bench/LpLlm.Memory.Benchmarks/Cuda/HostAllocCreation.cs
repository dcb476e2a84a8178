using LpLlm.Memory.Benchmarks.Creation;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>Memory as the driver makes it.</summary>
internal sealed class HostAllocCreation : ICreation
{
    public string Name => "cuMemHostAlloc";

    public IDisposable Create(long lengthBytes)
    {
        var address = PeerCalls.HostAllocate(lengthBytes);
        return new CopyMemory(Name, address, () => PeerCalls.HostFree(address));
    }
}
