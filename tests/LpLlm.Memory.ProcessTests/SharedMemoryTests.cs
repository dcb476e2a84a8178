using LpLlm.Memory.Sources;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests;

public class SharedMemoryTests
{
    private const long MiB = 1 << 20;

    [Fact]
    public async Task C1_S8_AnotherProcess_MapsTheDescriptorWithoutOurLibraryAndWritesIntoTheSameMemory()
    {
        var source = HostMemory.CreateSource(
            new LocalPinnedPoolOptions { Shared = true, AllowPageable = true }, pinner: null, NullLogger.Instance);
        using var region = (SharedMemoryRegion)await source.ReserveAsync(4 * MiB).DefaultTimeout();
        WriteEnds(region, 10, 20);

        // The very file, as a daemon would pass it; nothing but the framework's own memory-mapped files on the other side.
        using var child = ChildProcess.Start(
            "attach", $"/proc/{Environment.ProcessId}/fd/{region.Descriptor.DangerousGetHandle()}", $"{region.LengthBytes}");
        var (exitCode, output) = await child.ReadToEndAsync();

        exitCode.Should().Be(0, output);
        output.Trim().Should().Be($"{region.LengthBytes}");
        ReadEnds(region).Should().Be((11, 21));
    }

    private static unsafe void WriteEnds(MemoryRegion region, byte first, byte last)
    {
        *(byte*)region.Address = first;
        *(byte*)(region.Address + (nint)region.LengthBytes - 1) = last;
    }

    private static unsafe (byte First, byte Last) ReadEnds(MemoryRegion region) =>
        (*(byte*)region.Address, *(byte*)(region.Address + (nint)region.LengthBytes - 1));
}
