namespace LpLlm.Memory.Devices;

/// <summary>A copy is under way, and the device cannot tell when it is over: its memory must never be reused.</summary>
internal sealed class DeviceCopyLostException(Exception cause) : Exception(
    $"The device failed, and may still copy: the memory stays in use until the process ends. {cause.Message}", cause);
