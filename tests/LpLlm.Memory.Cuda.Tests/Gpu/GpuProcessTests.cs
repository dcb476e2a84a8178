using LpLlm.Memory.Cuda.Children;

namespace LpLlm.Memory.Cuda.Gpu;

/// <summary>Several processes on one device.</summary>
[Trait("Category", "Gpu")]
public sealed class GpuProcessTests
{
    [SkippableTheory]
    [InlineData(64 << 10)]
    [InlineData(4 << 20)]
    public async Task Import_AnotherProcess_ReadsAndWritesTheSameMemory(int lengthBytes)
    {
        var device = GpuFact.Device;
        using var pool = new FakePool();
        using var lease = pool.Rent(lengthBytes);
        using var neighbour = device.Allocate(4096); // so that a small buffer is not at the start of the driver's allocation
        using var buffer = device.Allocate(lengthBytes);
        using var stream = device.CreateStream();
        for (var i = 0; i < lengthBytes; i++)
        {
            lease.AsSpan<byte>()[i] = (byte)(i % 251);
        }

        await lease.CopyToDeviceAsync(stream, buffer).DefaultTimeout();

        var answer = await ChildProcess.RunAsync(ImportingChild.Command, Convert.ToHexString(buffer.Export()), $"{lengthBytes}");

        answer.Should().StartWith("0: imported ");
        await lease.CopyToHostAsync(stream, buffer).DefaultTimeout();
        lease.AsSpan<byte>().IndexOfAnyExcept((byte)77).Should().Be(-1);
    }

    [SkippableFact]
    public async Task U1_Import_HandleOfMemoryThatIsGone_IsTheOtherProcessesErrorOnly()
    {
        var device = GpuFact.Device;
        var buffer = device.Allocate(4 << 20);
        var handle = Convert.ToHexString(buffer.Export());
        buffer.Dispose();

        var answer = await ChildProcess.RunAsync(ImportingChild.Command, handle, "4096");

        answer.Should().NotStartWith("0:").And.Contain(nameof(CudaException));
        device.Invoking(each => each.Allocate(1).Dispose()).Should().NotThrow();
    }

    [SkippableTheory]
    [InlineData(SegmentPinning.Eager)]
    [InlineData(SegmentPinning.Lazy)]
    public async Task ServerLease_TwoProcessesAtOnce_EachRegistersAndCopies(SegmentPinning pinning)
    {
        _ = GpuFact.Device;
        await using var server = await GpuServer.StartAsync(4L * AttachingChild.LengthBytes);

        var answers = await Task.WhenAll(
            ChildProcess.RunAsync(AttachingChild.Command, server.EndPoint, $"{pinning}"), ChildProcess.RunAsync(AttachingChild.Command, server.EndPoint, $"{pinning}"));

        answers.Should().OnlyContain(answer => answer == $"0: -1 {AttachingChild.LengthBytes} PageLocked, DeviceVisible, Shared");
    }
}
