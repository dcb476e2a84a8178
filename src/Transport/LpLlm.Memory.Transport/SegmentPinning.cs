namespace LpLlm.Memory;

/// <summary>
/// When a client pins memory that a pool server leases to it. The server keeps the memory page-locked in any case; pinning in the client adds
/// what its <see cref="IHostPinner"/> gives beyond that, such as a device's registration, and is left out where it gives nothing.
/// </summary>
public enum SegmentPinning
{
    /// <summary>Before the memory is handed out: rents that need more memory take longer (a GPU registers about 20 GiB/s).</summary>
    Eager = 0,

    /// <summary>
    /// After the memory was handed out, so that attaching takes a millisecond: each part when a device first uses it, where the pinner sees
    /// that (CUDA's does), else in the background, 16 MiB at a time.
    /// </summary>
    Lazy,

    /// <summary>Never.</summary>
    None,
}
