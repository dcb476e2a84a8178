using System.Runtime.Versioning;
using LpLlm.Memory.Sources;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.Sources;

[Collection(WholeProcess.Name)]
public class SharedMemorySourceTests
{
    private const long MiB = 1 << 20;
    private const int GetSeals = 1034;
    private const int GetDescriptorFlags = 1;

    [Fact]
    public async Task Capabilities_SayShared()
    {
        var sut = new HostMemorySource(new HostMemorySettings { Shared = true }, new MlockHostPinner(), NullLogger.Instance);

        using var region = await sut.ReserveAsync(2 * MiB).DefaultTimeout();

        sut.Name.Should().Be("shared");
        region.Capabilities.Should().Be(PoolCapabilities.PageLocked | PoolCapabilities.Shared).And.Be(sut.Capabilities);
    }

    [Fact]
    public async Task S3_C3_TheSharedMemoryItselfIsLocked_AndThereIsNoSecondCopy()
    {
        var lockedBefore = ProcessStatus.ReadBytes("VmLck:");
        var sharedBefore = ProcessStatus.ReadBytes("RssShmem:");
        var sut = new HostMemorySource(
            new HostMemorySettings { Shared = true, HugePages = HugePageMode.Never }, new MlockHostPinner(), NullLogger.Instance);

        using var region = await sut.ReserveAsync(4 * MiB).DefaultTimeout();

        (ProcessStatus.ReadBytes("VmLck:") - lockedBefore).Should().Be(4 * MiB);
        (ProcessStatus.ReadBytes("RssShmem:") - sharedBefore).Should().BeLessThan(6 * MiB, "the runtime maps a few pages of its own");
        var range = MappedRange.Find(region.Address)!;
        range.Header.Should().Contain("memfd:lpllm-memory");
        range.Flags.Should().Contain(["sh", "lo", "dc", "dd"], "shared, locked, not copied on fork, not dumped");
        range.ReadBytes("Locked").Should().Be(4 * MiB);
    }

    [Fact]
    public async Task S8_C2_TheHandleIsAPlainDescriptor_AsLongAsTheRegionWithItsDataFromOffsetZero()
    {
        using var region = await ReserveAsync(4 * MiB).DefaultTimeout();
        AsSpan(region)[0] = 17;
        AsSpan(region)[^1] = 23;
        var bytes = new byte[2];

        RandomAccess.GetLength(region.Descriptor).Should().Be(region.LengthBytes);
        RandomAccess.Read(region.Descriptor, bytes.AsSpan(0, 1), 0);
        RandomAccess.Read(region.Descriptor, bytes.AsSpan(1, 1), region.LengthBytes - 1);

        bytes.Should().Equal(17, 23);
    }

    [Fact]
    public async Task C1_AnotherMappingOfTheDescriptor_IsTheSameMemory()
    {
        using var region = await ReserveAsync(2 * MiB).DefaultTimeout();
        var other = Libc.Map(0, (nint)region.LengthBytes, Libc.ProtReadWrite, Libc.MapShared, region.Descriptor, 0);

        WriteByte(other + 4096, 42);
        var seen = AsSpan(region)[4096];
        region.Dispose();

        seen.Should().Be(42);
        ReadByte(other + 4096).Should().Be(42, "the pages live until the last mapping goes");
        Libc.Unmap(other, (nint)(2 * MiB)).Should().Be(0);
    }

    [Fact]
    [SupportedOSPlatform("linux")]
    public async Task Descriptor_IsSealedOwnersOnlyAndClosedOnExec()
    {
        using var region = await ReserveAsync(2 * MiB).DefaultTimeout();

        (Libc.Control(region.Descriptor, GetSeals, 0) & MemoryFile.Seals).Should().Be(MemoryFile.Seals);
        Libc.Truncate(region.Descriptor, 4096).Should().Be(-1, "sealed against shrinking: a holder would fault");
        Libc.Truncate(region.Descriptor, 4 * MiB).Should().Be(-1, "sealed against growing");
        Libc.Control(region.Descriptor, Libc.AddSeals, 8).Should().Be(-1, "sealed against F_SEAL_WRITE and any other");
        (Libc.Control(region.Descriptor, GetDescriptorFlags, 0) & 1).Should().Be(1, "FD_CLOEXEC");
        File.GetUnixFileMode($"/proc/self/fd/{region.Descriptor.DangerousGetHandle()}")
            .Should().Be(UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    [Fact]
    public async Task Dispose_ClosesTheDescriptorAndUnmaps()
    {
        var region = await ReserveAsync(2 * MiB).DefaultTimeout();

        region.Dispose();

        region.Descriptor.IsClosed.Should().BeTrue();
        MappedRange.Find(region.Address)?.Header.Should().NotContain("memfd:lpllm-memory");
    }

    [Fact]
    public async Task Dispose_UnpinRefused_KeepsTheMappingButNoDescriptor()
    {
        var before = CountMemoryFiles();
        var pinner = new FakePinner();
        pinner.FailingUnpins.Add(1);
        var region = await TestSource.Create(new HostMemorySettings { Shared = true, HugePages = HugePageMode.Never }, pinner)
            .ReserveAsync(4 * MiB).DefaultTimeout();

        region.Invoking(r => r.Dispose()).Should().Throw<MemorySourceException>();

        MappedRange.Find(region.Address)!.Header.Should().Contain("memfd:lpllm-memory");
        CountMemoryFiles().Should().Be(before);
    }

    [Fact]
    public async Task Reserve_PinRefused_LeavesNoFileBehind()
    {
        var before = CountMemoryFiles();
        var pinner = new FakePinner();
        pinner.FailingPins.Add(2);

        await FluentActions.Awaiting(() => TestSource.Create(new HostMemorySettings { Shared = true }, pinner).ReserveAsync(8 * MiB).DefaultTimeout())
            .Should().ThrowAsync<MemorySourceException>();

        CountMemoryFiles().Should().Be(before);
    }

    private static async Task<SharedMemoryRegion> ReserveAsync(long lengthBytes) => (SharedMemoryRegion)await TestSource
        .Create(new HostMemorySettings { Shared = true, HugePages = HugePageMode.Never }, new FakePinner()).ReserveAsync(lengthBytes);

    private static int CountMemoryFiles() => Directory.EnumerateFiles("/proc/self/fd").Count(IsMemoryFile);

    private static bool IsMemoryFile(string descriptor)
    {
        try
        {
            return File.ResolveLinkTarget(descriptor, returnFinalTarget: false)?.FullName.Contains("lpllm-memory", StringComparison.Ordinal) == true;
        }
        catch (FileNotFoundException)
        {
            return false; // the runtime has closed it since, one of its own
        }
    }

    private static unsafe Span<byte> AsSpan(MemoryRegion region) => new((void*)region.Address, checked((int)region.LengthBytes));

    private static unsafe void WriteByte(nint address, byte value) => *(byte*)address = value;

    private static unsafe byte ReadByte(nint address) => *(byte*)address;
}
