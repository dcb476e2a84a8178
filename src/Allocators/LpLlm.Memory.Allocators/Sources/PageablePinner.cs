namespace LpLlm.Memory.Sources;

/// <summary>Pins nothing and says so: regions over it are ordinary pageable memory.</summary>
internal sealed class PageablePinner : IHostPinner
{
    public string Name => "pageable";

    public PoolCapabilities Capabilities => PoolCapabilities.None;

    public void Pin(nint address, long lengthBytes)
    {
    }

    public void Unpin(nint address, long lengthBytes)
    {
    }
}
