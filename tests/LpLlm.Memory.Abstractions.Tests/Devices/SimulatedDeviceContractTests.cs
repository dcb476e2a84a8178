namespace LpLlm.Memory.Tests;

public class SimulatedDeviceContractTests : MemoryDeviceContract
{
    private readonly SimulatedDevice _device = new();
    private readonly SimulatedDevice _other = new();

    protected override IMemoryDevice Device => _device;

    protected override IMemoryDevice OtherProcess => _other;

    protected override void VerifyClean()
    {
        _device.ShouldBeClean();
        _other.ShouldBeClean();
    }
}
