namespace LpLlm.Memory;

/// <summary>How host memory is registered with CUDA's driver.</summary>
public sealed class CudaHostMemoryOptions
{
    private const long SliceUnitBytes = 2L << 20;
    private const long LargestSliceBytes = 1L << 30;

    /// <summary>When memory of this process's pools is registered. Default <see cref="HostRegistration.Eager"/>.</summary>
    public HostRegistration Registration { get; set; }

    /// <summary>
    /// What a first use is rounded to where registration is left to it: a multiple of 2 MiB, 2 MiB to 1 GiB. Default 16 MiB. A longer copy registers
    /// neighbouring slices that it is the first to use at once, at most 1 GiB a time. Copies are cut where two registrations meet.
    /// </summary>
    public long SliceBytes { get; set; } = 16L << 20;

    internal void Validate(ICollection<string> errors)
    {
        if (!Enum.IsDefined(Registration))
        {
            errors.Add($"{nameof(Registration)} is {Registration}, which is no {nameof(HostRegistration)}.");
        }

        if (SliceBytes < SliceUnitBytes || SliceBytes > LargestSliceBytes || SliceBytes % SliceUnitBytes != 0)
        {
            errors.Add($"{nameof(SliceBytes)} is {SliceBytes}; it must be a multiple of 2 MiB (2097152), from 2 MiB to 1 GiB (1073741824).");
        }
    }
}
