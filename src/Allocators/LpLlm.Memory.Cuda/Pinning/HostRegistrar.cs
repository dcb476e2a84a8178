namespace LpLlm.Memory.Cuda;

/// <summary>Registers host memory with the driver, for all contexts of the process, and keeps count. Thread-safe.</summary>
internal sealed class HostRegistrar(CudaRuntime runtime)
{
    private const uint ForAllContexts = 1; // CU_MEMHOSTREGISTER_PORTABLE
    private const uint ReadOnly = 8; // CU_MEMHOSTREGISTER_READ_ONLY

    private long _registeredBytes;

    public long RegisteredBytes => Interlocked.Read(ref _registeredBytes);

    public void Register(nint address, long lengthBytes)
    {
        var device = runtime.Devices[0];
        device.MakeCurrent();
        var code = runtime.Driver.RegisterHost(address, lengthBytes, ForAllContexts);

        // The driver asks the kernel for writable pages. What is mapped to be read only, as a model's bytes are, is asked for as such.
        if (code != CudaError.Success && code != CudaError.OutOfMemory && device.CanRegisterReadOnly && Mappings.IsReadOnly(address)
            && runtime.Driver.RegisterHost(address, lengthBytes, ForAllContexts | ReadOnly) == CudaError.Success)
        {
            code = CudaError.Success;
        }

        runtime.Check(code, "cuMemHostRegister", lengthBytes);
        Interlocked.Add(ref _registeredBytes, lengthBytes);
    }

    public void Unregister(nint address, long lengthBytes)
    {
        runtime.Devices[0].MakeCurrent();
        runtime.Check(runtime.Driver.UnregisterHost(address), "cuMemHostUnregister", lengthBytes);
        Interlocked.Add(ref _registeredBytes, -lengthBytes);
    }
}
