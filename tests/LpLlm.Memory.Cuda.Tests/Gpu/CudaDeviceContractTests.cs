namespace LpLlm.Memory.Cuda.Gpu;

/// <summary>The devices' contract, with registered memory of a pool.</summary>
[Trait("Category", "Gpu")]
public sealed class CudaDeviceContractTests : MemoryDeviceContract
{
    private GpuPools? _pools;

    protected override IMemoryDevice Device => GpuFact.Device;

    protected override IPinnedMemoryPool CreatePool() => (_pools ??= new GpuPools(128L << 20)).Pool;
}
