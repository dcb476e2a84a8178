namespace LpLlm.Memory.Cuda.Gpu;

/// <summary>Several devices of one host; skipped where there is only one.</summary>
[Trait("Category", "Gpu")]
public sealed class GpuDevicesTests
{
    private const int Length = 96 << 20;

    [SkippableTheory]
    [InlineData(HostRegistration.Eager)]
    [InlineData(HostRegistration.Lazy)]
    public async Task OneLease_IsCopiedToAllDevicesAtOnce_AndEachGivesItBack(HostRegistration registration)
    {
        var devices = SeveralDevices();
        await using var pools = new GpuPools(2L * Length, registration);
        using var lease = pools.Pool.Rent(Length);
        using var back = pools.Pool.Rent(Length);
        new Random(5).NextBytes(lease.AsSpan<byte>());
        var buffers = devices.Select(device => device.Allocate(Length)).ToList();
        var streams = devices.Select(device => device.CreateStream()).ToList();

        await Task.WhenAll(streams.Zip(buffers, (stream, buffer) => lease.CopyToDeviceAsync(stream, buffer).AsTask())).DefaultTimeout();

        foreach (var (stream, buffer) in streams.Zip(buffers))
        {
            back.AsSpan<byte>().Clear();
            await back.CopyToHostAsync(stream, buffer).DefaultTimeout();
            back.AsSpan<byte>().SequenceEqual(lease.AsSpan<byte>()).Should().BeTrue();
        }

        streams.ForEach(stream => stream.Dispose());
        buffers.ForEach(buffer => buffer.Dispose());
    }

    [SkippableFact]
    public void EachDevice_HasANameAUuidAndMemoryOfItsOwn()
    {
        var devices = SeveralDevices();

        devices.Select(device => device.Uuid).Should().OnlyHaveUniqueItems();
        devices.Select(device => device.Name).Should().Equal(Enumerable.Range(0, devices.Count).Select(ordinal => $"cuda:{ordinal}"));
        using var mine = devices[0].Allocate(Length);
        using var other = devices[1].Allocate(Length);
        mine.Address.Should().NotBe(other.Address, "all devices share one address space");
    }

    private static IReadOnlyList<IMemoryDevice> SeveralDevices()
    {
        _ = GpuFact.Device;
        var devices = CudaRuntime.Shared.Devices;
        Skip.If(devices.Count < 2, "This machine has one device.");
        return devices;
    }
}
