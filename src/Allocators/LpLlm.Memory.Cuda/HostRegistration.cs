namespace LpLlm.Memory;

/// <summary>When host memory is registered with CUDA's driver.</summary>
public enum HostRegistration
{
    /// <summary>Before it is handed out: some 20 ms a GiB on huge pages, 40 ms on pages of 4 KiB. It is page-locked from then on.</summary>
    Eager = 0,

    /// <summary>
    /// When a copy first touches it, in whole slices: 0.5 ms for 16 MiB, 25 ms for 1 GiB at once. Until then ordinary pages are not
    /// page-locked, so that leases have <see cref="PoolCapabilities.DeviceVisible"/> only; copies must go through this library, or wait
    /// for the first use of what they touch.
    /// </summary>
    Lazy,
}
