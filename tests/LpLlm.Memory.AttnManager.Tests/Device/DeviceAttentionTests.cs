namespace LpLlm.Memory.Attention.Tests;

public class DeviceAttentionTests : AttentionTests
{
    protected override AttnPath CreatePath() => new SimulatedPath(new SimulatedDevice());
}
