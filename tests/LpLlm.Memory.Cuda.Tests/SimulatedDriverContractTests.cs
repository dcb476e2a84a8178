using LpLlm.Memory.Cuda.Driver;

namespace LpLlm.Memory.Cuda;

/// <summary>The devices' contract, over a driver that is late and reorders.</summary>
public sealed class SimulatedDriverContractTests : MemoryDeviceContract
{
    private readonly SimulatedCudaDriver _driver = new();
    private readonly SimulatedCudaDriver _otherDriver = new(seed: 2);
    private readonly CudaRuntime _runtime;
    private readonly CudaRuntime _otherRuntime;

    public SimulatedDriverContractTests()
    {
        _runtime = new CudaRuntime(_driver);
        _otherRuntime = new CudaRuntime(_otherDriver);
    }

    protected override IMemoryDevice Device => _runtime.Devices[0];

    protected override IMemoryDevice? OtherProcess => _otherRuntime.Devices[0];

    protected override void VerifyClean()
    {
        (_driver.LiveAllocations, _otherDriver.LiveAllocations).Should().Be((0, 0));
    }
}
