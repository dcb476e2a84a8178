using LpLlm.Memory.Attention.Tests;

namespace LpLlm.Memory.Cuda.Gpu;

[Trait("Category", "Gpu")]
public sealed class GpuNumericsTests : NumericsTests
{
    protected override AttnPath CreatePath()
    {
        Pool = GpuBlocks.CreatePool();
        return new DevicePath(GpuFact.Device);
    }
}
