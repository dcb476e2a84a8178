using LpLlm.Memory.Attention.Tests;

namespace LpLlm.Memory.Cuda.Gpu;

/// <summary>Keys and values lie on the device as float32: for caches of 16 bits they are converted on their way.</summary>
[Trait("Category", "Gpu")]
public sealed class GpuConvertingAttentionTests : AttentionTests
{
    protected override AttnPath CreatePath()
    {
        Pool = GpuBlocks.CreatePool();
        return new DevicePath(GpuFact.Device, convert: true);
    }
}
