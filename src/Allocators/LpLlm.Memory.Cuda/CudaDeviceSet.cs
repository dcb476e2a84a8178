namespace LpLlm.Memory.Cuda;

/// <summary>The devices of a driver.</summary>
internal sealed class CudaDeviceSet(CudaRuntime runtime) : IDeviceSet
{
    public IReadOnlyList<IMemoryDevice> Devices => runtime.Devices;

    public string? UnavailableReason => runtime.UnavailableReason;
}
