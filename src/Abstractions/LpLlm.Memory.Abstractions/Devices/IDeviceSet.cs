namespace LpLlm.Memory;

/// <summary>The devices of this host that a driver serves. Thread-safe.</summary>
public interface IDeviceSet
{
    /// <summary>All of them, in the driver's order; empty where there is none. The first call loads the driver, 0.1 to 0.4 s.</summary>
    IReadOnlyList<IMemoryDevice> Devices { get; }

    /// <summary>Why there is no device, as a sentence with the remedy; null when there is one.</summary>
    string? UnavailableReason { get; }

    /// <summary>The device of that name (<c>cuda:0</c>) or UUID; null when there is none.</summary>
    /// <param name="nameOrUuid">As <see cref="IMemoryDevice.Name"/> or <see cref="IMemoryDevice.Uuid"/>, in any case of letters.</param>
    IMemoryDevice? Find(string nameOrUuid) => Devices.FirstOrDefault(device =>
        device.Name.Equals(nameOrUuid, StringComparison.OrdinalIgnoreCase) || device.Uuid.Equals(nameOrUuid, StringComparison.OrdinalIgnoreCase));
}
