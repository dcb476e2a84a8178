namespace LpLlm.Memory.Cuda.Gpu;

/// <summary>The same with ordinary memory, from which copies are slow and right.</summary>
[Trait("Category", "Gpu")]
public sealed class CudaDevicePageableContractTests : MemoryDeviceContract
{
    protected override IMemoryDevice Device => GpuFact.Device;
}
