namespace LpLlm.Memory.TestKit;

/// <summary>A fixed list of devices, simulated or not. Thread-safe.</summary>
public sealed class SimulatedDeviceSet : IDeviceSet
{
    /// <summary>Creates a set of devices.</summary>
    /// <param name="devices">At least one; see <see cref="None"/>.</param>
    public SimulatedDeviceSet(params IMemoryDevice[] devices)
    {
        ArgumentOutOfRangeException.ThrowIfZero(devices.Length, nameof(devices));
        Devices = devices;
    }

    private SimulatedDeviceSet(string reason)
    {
        Devices = [];
        UnavailableReason = reason;
    }

    /// <inheritdoc/>
    public IReadOnlyList<IMemoryDevice> Devices { get; }

    /// <inheritdoc/>
    public string? UnavailableReason { get; }

    /// <summary>A host without a driver.</summary>
    /// <param name="reason">The sentence of <see cref="UnavailableReason"/>.</param>
    public static SimulatedDeviceSet None(string reason = "There is no driver here; install one.") => new(reason);
}
