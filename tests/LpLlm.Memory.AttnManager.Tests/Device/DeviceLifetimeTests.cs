namespace LpLlm.Memory.Attention.Tests;

public class DeviceLifetimeTests : LifetimeTests
{
    protected override AttnPath CreatePath() => new SimulatedPath(new SimulatedDevice());
}
