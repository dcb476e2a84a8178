namespace LpLlm.Memory.TestKit;

/// <summary>One step of a simulated stream.</summary>
/// <param name="Ordinal">Position among all steps that were enqueued on the device, from 1.</param>
/// <param name="Kind">What it does.</param>
/// <param name="StreamHandle">Handle of its stream.</param>
/// <param name="HostAddress">First host byte of a copy; 0 otherwise.</param>
/// <param name="DeviceAddress">First device byte of a copy; 0 otherwise.</param>
/// <param name="LengthBytes">Bytes copied; 0 otherwise.</param>
public sealed record SimulatedOperation(
    long Ordinal, SimulatedOperationKind Kind, nint StreamHandle, nint HostAddress, nint DeviceAddress, long LengthBytes)
{
    /// <summary>Whether it moves bytes.</summary>
    public bool IsCopy => Kind is SimulatedOperationKind.CopyToDevice or SimulatedOperationKind.CopyToHost;
}
