namespace LpLlm.Memory.Attention;

/// <summary>The one place that decides what <see cref="AttnManagerOptions.Device"/> stands for.</summary>
internal static class AttnDeviceSelector
{
    private const string Cpu = "cpu";

    /// <summary>The device; null for the CPU, and where <see cref="FindProblem"/> has something to say.</summary>
    public static IMemoryDevice? Select(string name, IDeviceSet? devices) => IsCpu(name) ? null : devices?.Find(name);

    /// <summary>Why the name leads nowhere, with what there is instead; null when it leads somewhere.</summary>
    public static string? FindProblem(string? name, IDeviceSet? devices)
    {
        if (IsCpu(name))
        {
            return null;
        }

        if (string.IsNullOrWhiteSpace(name))
        {
            return $"Device = '{name}' is empty; {Cpu} or the name of a device is expected.";
        }

        if (devices is null)
        {
            return $"Device = '{name}' needs a driver, and none is registered; register one (an IDeviceSet), or set {Cpu}.";
        }

        if (devices.Find(name) is not null)
        {
            return null;
        }

        return devices.Devices.Count == 0
            ? $"Device = '{name}' is not here: {devices.UnavailableReason}"
            : $"Device = '{name}' is not here; there are {Cpu}, {string.Join(", ", devices.Devices.Select(device => device.Name))}.";
    }

    private static bool IsCpu(string? name) => string.Equals(name, Cpu, StringComparison.OrdinalIgnoreCase);
}
