using System.IO.MemoryMappedFiles;
using Xunit.Abstractions;

namespace LpLlm.Memory.Cuda.Gpu;

/// <summary>Registration of every kind of memory, and copies over its seams.</summary>
[Trait("Category", "Gpu")]
public sealed class GpuHostMemoryTests(ITestOutputHelper output)
{
    private const long MiB = 1L << 20;

    [SkippableTheory]
    [InlineData(HostRegistration.Eager, HugePageMode.Auto, false)]
    [InlineData(HostRegistration.Eager, HugePageMode.Never, false)]
    [InlineData(HostRegistration.Eager, HugePageMode.Never, true)]
    [InlineData(HostRegistration.Eager, HugePageMode.Require, false)]
    [InlineData(HostRegistration.Eager, HugePageMode.Require, true)]
    [InlineData(HostRegistration.Lazy, HugePageMode.Auto, false)]
    [InlineData(HostRegistration.Lazy, HugePageMode.Never, true)]
    [InlineData(HostRegistration.Lazy, HugePageMode.Require, true)]
    public async Task Copy_WholePoolThereAndBack_GivesTheSameBytes(HostRegistration registration, HugePageMode hugePages, bool shared)
    {
        var device = GpuFact.Device;
        const long Length = 540 * MiB; // a piece of 512 MiB and a part of one, each a range of its own
        await using var pools = new GpuPools(Length, registration, hugePages, shared);
        PinnedLease lease;
        try
        {
            lease = pools.Pool.Rent(Length);
        }
        catch (PinnedMemoryExhaustedException refusal) when (hugePages == HugePageMode.Require)
        {
            Skip.If(true, $"There are no reserved huge pages here: {refusal.InnerException?.Message}");
            return;
        }

        pools.Pinner.RegisteredBytes.Should().Be(registration == HostRegistration.Eager ? Length : 0);
        using var stream = device.CreateStream();
        using var buffer = device.Allocate(Length);
        new Random(1).NextBytes(lease.GetSpan(0, (int)Length));
        var expected = Checksum(lease);

        await lease.CopyToDeviceAsync(stream, buffer).DefaultTimeout();
        lease.AsSpan<byte>().Clear();
        await lease.CopyToHostAsync(stream, buffer).DefaultTimeout();

        Checksum(lease).Should().Be(expected);
        pools.Pinner.RegisteredBytes.Should().Be(Length);
        lease.Dispose();
        await pools.Pool.DisposeAsync();
        pools.Pinner.RegisteredBytes.Should().Be(0);
    }

    [SkippableFact]
    public async Task Copy_SmallPartOfLazyMemory_RegistersOneSlice()
    {
        var device = GpuFact.Device;
        await using var pools = new GpuPools(256 * MiB, HostRegistration.Lazy);
        using var lease = pools.Pool.Rent(4096);
        using var stream = device.CreateStream();
        using var buffer = device.Allocate(4096);

        await lease.CopyToDeviceAsync(stream, buffer).DefaultTimeout();

        pools.Pinner.RegisteredBytes.Should().Be(16 * MiB);
    }

    /// <summary>Why copies are cut: shown on the driver itself.</summary>
    [SkippableFact]
    public async Task Driver_CopyOverTwoRegistrations_IsWhatTheLibraryAvoids()
    {
        var device = GpuFact.Device;
        await using var pools = new GpuPools(64 * MiB, HostRegistration.Lazy);
        using var lease = pools.Pool.Rent(64 * MiB);
        using var stream = device.CreateStream();
        using var buffer = device.Allocate(64 * MiB);
        for (nint at = 0; at < (nint)(64 * MiB); at += (nint)(16 * MiB))
        {
            stream.CopyToDevice(lease.Address + at, buffer.Address + at, 16 * MiB); // registers one slice
        }

        await stream.Record().WaitAsync().DefaultTimeout();

        var code = DriverCalls.cuMemcpyHtoDAsync_v2(buffer.Address, lease.Address, (nint)(64 * MiB), stream.Handle);
        await stream.Record().WaitAsync().DefaultTimeout();

        output.WriteLine($"One copy over four registrations: code {code} ({CudaRuntime.Shared.Driver.GetErrorName(code)}).");
        code.Should().BeOneOf(CudaError.Success, CudaError.InvalidValue);
    }

    [SkippableFact]
    public async Task Pin_ReadOnlyMapping_CopiesToTheDevice()
    {
        var device = GpuFact.Device;
        const int Length = 8 << 20;
        var path = Path.Combine("/dev/shm", $"lpllm-cuda-{Environment.ProcessId}");
        var bytes = new byte[Length];
        new Random(2).NextBytes(bytes);
        await File.WriteAllBytesAsync(path, bytes);
        try
        {
            using var file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
            using var view = file.CreateViewAccessor(0, Length, MemoryMappedFileAccess.Read);
            var address = view.SafeMemoryMappedViewHandle.DangerousGetHandle();
            using var pinner = new CudaHostPinner(CudaRuntime.Shared, new CudaHostMemoryOptions());
            Skip.IfNot(CudaRuntime.Shared.Devices[0].CanRegisterReadOnly, "The device cannot register read-only memory.");

            pinner.Pin(address, Length);

            using var stream = device.CreateStream();
            using var buffer = device.Allocate(Length);
            using var pool = new FakePool();
            using var back = pool.Rent(Length);
            stream.CopyToDevice(address, buffer.Address, Length);
            await stream.Record().WaitAsync().DefaultTimeout();
            await back.CopyToHostAsync(stream, buffer).DefaultTimeout();
            back.AsSpan<byte>().SequenceEqual(bytes).Should().BeTrue();
            pinner.Unpin(address, Length);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [SkippableFact]
    public async Task Pin_Twice_IsRefusedWithTheDriversName()
    {
        _ = GpuFact.Device;
        await using var pools = new GpuPools(4 * MiB);
        using var lease = pools.Pool.Rent(4 * MiB);

        var error = pools.Pinner.Invoking(pinner => pinner.Pin(lease.Address, 2 * MiB)).Should().Throw<MemorySourceException>().Which;

        error.NativeErrorName.Should().Be("CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED");
    }

    [SkippableFact]
    public void Pin_MemoryThatIsNotMapped_IsRefused()
    {
        _ = GpuFact.Device;
        using var pinner = new CudaHostPinner(CudaRuntime.Shared, new CudaHostMemoryOptions());

        pinner.Invoking(each => each.Pin(unchecked((nint)0x10_0000_0000), 2 * MiB)).Should().Throw<MemorySourceException>();
        pinner.RegisteredBytes.Should().Be(0);
    }

    private static ulong Checksum(PinnedLease lease)
    {
        ulong sum = 14695981039346656037;
        foreach (var word in lease.AsSpan<ulong>())
        {
            sum = (sum ^ word) * 1099511628211;
        }

        return sum;
    }
}
