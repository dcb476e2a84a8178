namespace LpLlm.Memory.TestKit;

/// <summary>What a simulated stream does in one step.</summary>
public enum SimulatedOperationKind
{
    /// <summary>A copy from the host to the device.</summary>
    CopyToDevice,

    /// <summary>A copy from the device to the host.</summary>
    CopyToHost,

    /// <summary>Waits for another stream or for an event.</summary>
    Wait,

    /// <summary>Completes a fence.</summary>
    Record,
}
