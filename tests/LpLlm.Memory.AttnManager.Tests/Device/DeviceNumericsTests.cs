namespace LpLlm.Memory.Attention.Tests;

public class DeviceNumericsTests : NumericsTests
{
    protected override AttnPath CreatePath() => new SimulatedPath(new SimulatedDevice());
}
