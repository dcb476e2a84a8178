namespace LpLlm.Memory.Cuda.Gpu;

/// <summary>A test's pool whose blocks are registered with the driver, so that copies from and to them do run late.</summary>
internal static class GpuBlocks
{
    // One for all tests: what is still under way at the end of a test unpins its block later.
    private static readonly CudaHostPinner Pinner = new(CudaRuntime.Shared, new CudaHostMemoryOptions());

    public static FakePool CreatePool()
    {
        Skip.If(CudaRuntime.Shared.UnavailableReason is not null, CudaRuntime.Shared.UnavailableReason);
        return new FakePool { Pinner = Pinner };
    }
}
