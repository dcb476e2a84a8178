namespace LpLlm.Memory.Benchmarks.Workloads.Heaps;

/// <summary>A source of addresses that nothing backs: a pool of 1 TiB on any machine, as long as nobody touches a byte.</summary>
internal sealed class AddressOnlySource : IMemorySource
{
    /// <summary>Where every region begins; a pool over this source has one slab.</summary>
    public static readonly nint FirstAddress = unchecked((nint)(1L << 45));

    public string Name => "address-only";

    public PoolCapabilities Capabilities => PoolCapabilities.PageLocked;

    public ValueTask<MemoryRegion> ReserveAsync(
        long lengthBytes, IProgress<long>? progress = null, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult<MemoryRegion>(new Region(lengthBytes));

    private sealed class Region(long lengthBytes) : MemoryRegion(FirstAddress, lengthBytes, PoolCapabilities.PageLocked)
    {
        protected override void Release()
        {
        }
    }
}
