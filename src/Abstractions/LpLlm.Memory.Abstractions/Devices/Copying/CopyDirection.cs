namespace LpLlm.Memory.Devices;

/// <summary>Which way bytes go.</summary>
internal enum CopyDirection
{
    /// <summary>From the host's memory to the device's.</summary>
    ToDevice,

    /// <summary>From the device's memory to the host's.</summary>
    ToHost,
}
