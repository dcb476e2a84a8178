namespace LpLlm.Memory.Attention.Tests;

public class DeviceSequenceModelTests : SequenceModelTests
{
    protected override AttnPath CreatePath() => new SimulatedPath(new SimulatedDevice());
}
