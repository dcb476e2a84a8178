namespace LpLlm.Memory.Cuda;

/// <summary>
/// A driver with its devices and all host memory that is registered with it. One for the process, as the driver is; tests make their own.
/// </summary>
internal sealed class CudaRuntime
{
    // PublicationOnly: the driver is initialised without a lock held; two threads that come first both may, which it allows.
    private readonly Lazy<Inventory> _inventory;

    public CudaRuntime(ICudaDriver driver)
    {
        Driver = driver;
        HostRanges = new HostRanges();
        Poller = new CompletionPoller(thread => thread.Start());
        _inventory = new Lazy<Inventory>(FindDevices, LazyThreadSafetyMode.PublicationOnly);
    }

    public static CudaRuntime Shared { get; } = new(new LibCuda());

    public ICudaDriver Driver { get; }

    public HostRanges HostRanges { get; }

    public CompletionPoller Poller { get; init; }

    public IReadOnlyList<CudaDevice> Devices => _inventory.Value.Devices;

    /// <summary>Null when there is a device.</summary>
    public string? UnavailableReason => _inventory.Value.Reason;

    public void Check(int code, string operation)
    {
        if (code != CudaError.Success)
        {
            throw CudaError.ToException(Driver, code, operation);
        }
    }

    /// <summary>For calls whose message has a length: nothing is formatted unless it fails.</summary>
    public void Check(int code, string operation, long lengthBytes)
    {
        if (code != CudaError.Success)
        {
            throw CudaError.ToException(Driver, code, $"{operation} of {lengthBytes} B");
        }
    }

    private Inventory FindDevices()
    {
        try
        {
            Check(Driver.Initialize(), "cuInit");
            Check(Driver.GetDeviceCount(out var count), "cuDeviceGetCount");
            return count > 0
                ? new Inventory([.. Enumerable.Range(0, count).Select(ordinal => new CudaDevice(this, ordinal))], null)
                : new Inventory([], $"CudaUnavailable: the driver knows no device. {CudaError.RemedyOf(CudaError.NoDevice)}");
        }
        catch (Exception absent) when (absent is DllNotFoundException or BadImageFormatException)
        {
            return new Inventory(
                [],
                $"CudaUnavailable: {LibCudaImports.FileName} cannot be loaded. Install NVIDIA's driver; a container needs --gpus all and the NVIDIA container toolkit.");
        }
        catch (EntryPointNotFoundException old)
        {
            return new Inventory([], $"CudaUnavailable: the driver is too old ({old.Message}). Install 470 (CUDA 11.4) or later.");
        }
        catch (CudaException refusal)
        {
            return new Inventory([], $"CudaUnavailable: {refusal.Message}");
        }
    }

    private sealed record Inventory(IReadOnlyList<CudaDevice> Devices, string? Reason);
}
