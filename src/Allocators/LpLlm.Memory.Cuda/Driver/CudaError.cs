namespace LpLlm.Memory.Cuda;

/// <summary>The driver's codes that are told apart, and what can be done about each.</summary>
internal static class CudaError
{
    public const int Success = 0;
    public const int InvalidValue = 1;
    public const int OutOfMemory = 2;
    public const int Deinitialized = 4;
    public const int StubLibrary = 34;
    public const int NoDevice = 100;
    public const int InvalidContext = 201;
    public const int InvalidHandle = 400;
    public const int NotReady = 600;
    public const int AlreadyRegistered = 712;
    public const int NotRegistered = 713;
    public const int NotPermitted = 800;
    public const int NotSupported = 801;
    public const int SystemDriverMismatch = 803;
    public const int SystemNotReady = 802;

    public static CudaException ToException(ICudaDriver driver, int code, string operation) => new(
        operation, code, driver.GetErrorName(code) ?? "CUDA_ERROR_UNKNOWN", driver.GetErrorText(code) ?? "unknown to this driver", RemedyOf(code));

    public static string RemedyOf(int code) => code switch
    {
        InvalidValue => "An address, a length or a handle is not what the driver knows: check that the memory is still allocated, and not partly registered by somebody else.",
        OutOfMemory => "Free memory of the device or of the host, or ask for less; a full device may have room again when its other users are through.",
        StubLibrary => "The library that was found is the toolkit's stub: put the driver's own libcuda.so.1 before it on the loader's path.",
        NoDevice => "No device is visible: check nvidia-smi and CUDA_VISIBLE_DEVICES; a container needs --gpus all.",
        Deinitialized => "The process is ending: dispose of device objects before.",
        InvalidContext or InvalidHandle => "It belongs to another device, to this very process where another's is wanted, or is disposed.",
        AlreadyRegistered => "Somebody else in this process has registered a part of the range: register it once only.",
        NotRegistered => "Somebody else in this process has unregistered the range.",
        NotPermitted or NotSupported => "The system does not allow it here: check the container's limits and whether the memory can be page-locked (ulimit -l).",
        SystemNotReady or SystemDriverMismatch => "Check the installation: the kernel module, the driver's library and, where there is NVSwitch, the fabric manager must be of one version and running.",
        _ => "Most such errors last until the process ends: look for the first one, at the kernel's log (dmesg: Xid), and restart the process.",
    };
}
