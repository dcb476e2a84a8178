namespace LpLlm.Memory.Cuda.Gpu;

/// <summary>The machine's first device, or a skip with the reason.</summary>
internal static class GpuFact
{
    public static IMemoryDevice Device
    {
        get
        {
            Skip.If(CudaRuntime.Shared.UnavailableReason is not null, CudaRuntime.Shared.UnavailableReason);
            return CudaRuntime.Shared.Devices[0];
        }
    }
}
