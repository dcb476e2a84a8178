using LpLlm.Memory.Cuda.Driver;

namespace LpLlm.Memory.Cuda;

public sealed class CudaDeviceTests
{
    private readonly SimulatedCudaDriver _driver = new(deviceCount: 2);
    private readonly CudaRuntime _runtime;

    public CudaDeviceTests() => _runtime = new CudaRuntime(_driver);

    private IDeviceSet Devices => new CudaDeviceSet(_runtime);

    [Fact]
    public void Uuid_IsTheSixteenBytesInTheirOrder() =>
        Devices.Devices[0].Uuid.Should().Be("00010203-0405-0607-0809-0a0b0c0d0e0f");

    [Theory]
    [InlineData("cuda:1")]
    [InlineData("CUDA:1")]
    [InlineData("10111213-1415-1617-1819-1a1b1c1d1e1f")]
    [InlineData("10111213-1415-1617-1819-1A1B1C1D1E1F")]
    public void Find_NameOrUuid_GivesThatDevice(string name) => Devices.Find(name).Should().BeSameAs(Devices.Devices[1]);

    [Fact]
    public void Find_Unknown_GivesNull() => Devices.Find("cuda:2").Should().BeNull();

    [Fact]
    public void Allocate_AnotherLibraryMadeItsContextCurrent_SetsOursAgain()
    {
        using var first = Devices.Devices[0].Allocate(1);
        _driver.SetCurrentContext(7);

        Devices.Devices[0].Invoking(device => device.Allocate(1).Dispose()).Should().NotThrow();
    }

    [Fact]
    public void Allocate_NoRoom_ThrowsWithTheDriversNameTextAndARemedy()
    {
        _driver.Failures["cuMemAlloc"] = CudaError.OutOfMemory;

        var error = Devices.Devices[0].Invoking(device => device.Allocate(12345)).Should().Throw<CudaException>().Which;

        error.ErrorCode.Should().Be(2);
        error.IsTransient.Should().BeTrue();
        error.Message.Should().Be(
            $"cuMemAlloc of 12345 B failed with SIMULATED_2 (2: simulated error 2). {CudaError.RemedyOf(CudaError.OutOfMemory)}");
    }

    [Fact]
    public void Address_AfterDispose_Throws()
    {
        var buffer = Devices.Devices[0].Allocate(1);
        buffer.Dispose();

        buffer.Invoking(each => each.Address).Should().Throw<ObjectDisposedException>();
        buffer.Invoking(each => each.Export()).Should().Throw<ObjectDisposedException>();
    }

    [Fact]
    public void U1_Import_MemoryOfThisVeryProcess_IsAnErrorAndNothingElse()
    {
        using var buffer = Devices.Devices[0].Allocate(1);

        Devices.Devices[0].Invoking(device => device.Import(buffer.Export())).Should().Throw<CudaException>().Which.ErrorCode
            .Should().Be(CudaError.InvalidContext);
        Devices.Devices[0].Invoking(device => device.Allocate(1).Dispose()).Should().NotThrow();
    }

    [Fact]
    public void Import_LengthCannotBeHad_ClosesItAgain()
    {
        var other = new SimulatedCudaDriver();
        using var buffer = new CudaRuntime(other).Devices[0].Allocate(1);
        var handle = buffer.Export();
        _driver.Failures["cuMemGetAddressRange"] = CudaError.InvalidValue;

        Devices.Devices[0].Invoking(device => device.Import(handle)).Should().Throw<CudaException>();

        _driver.LiveAllocations.Should().Be(0);
    }
}
