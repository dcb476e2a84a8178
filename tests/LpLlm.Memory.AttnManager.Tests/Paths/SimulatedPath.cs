namespace LpLlm.Memory.Attention.Tests;

/// <summary>Over a simulated device, which must be clean at the end.</summary>
public sealed class SimulatedPath(SimulatedDevice device, bool convert = false) : DevicePath(device, convert)
{
    public override void Verify()
    {
        base.Verify();
        device.ShouldBeClean();
    }
}
