using System.Runtime.InteropServices;
using LpLlm.Memory.Transport.Engine;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Grpc;

/// <summary>A sealed memory file, mapped here: what the daemon's segments are, without their page locks.</summary>
internal sealed unsafe partial class MemoryFileSegment : Segment
{
    private const uint AllowSealing = 2;
    private const int ReadWrite = 3;
    private const int Shared = 1;
    private const int AddSeals = 1033;
    private const int SealShrinkGrowSeal = 7;

    private readonly SafeFileHandle _file;
    private readonly byte* _start;

    private MemoryFileSegment(SafeFileHandle file, byte* start, long lengthBytes)
        : base(lengthBytes, isPageLocked: false)
    {
        _file = file;
        _start = start;
    }

    public override nint Address => (nint)_start;

    public override SafeFileHandle File => _file;

    public override ulong Inode => 0;

    public override string Path => $"/proc/{Environment.ProcessId}/fd/{_file.DangerousGetHandle()}";

    public Span<byte> Bytes => new(_start, checked((int)LengthBytes));

    public bool IsDiscarded { get; private set; }

    public static MemoryFileSegment Create(long lengthBytes)
    {
        var file = new SafeFileHandle(CreateFile("storage", AllowSealing), ownsHandle: true);
        RandomAccess.SetLength(file, lengthBytes);
        Control(file, AddSeals, SealShrinkGrowSeal).Should().Be(0);
        var start = Map(null, (nuint)lengthBytes, ReadWrite, Shared, file, 0);
        ((nint)start).Should().NotBe(-1);
        return new MemoryFileSegment(file, start, lengthBytes);
    }

    /// <summary>They are final from the start.</summary>
    public override void Seal(bool readOnly) => readOnly.Should().BeFalse();

    public override ValueTask ClearAsync()
    {
        new Span<byte>(_start, checked((int)LengthBytes)).Clear();
        return ValueTask.CompletedTask;
    }

    public override ValueTask DiscardAsync(bool freesPages)
    {
        Unmap(_start, (nuint)LengthBytes).Should().Be(0);
        _file.Dispose();
        IsDiscarded = true;
        return ValueTask.CompletedTask;
    }

    [LibraryImport("libc", EntryPoint = "memfd_create", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int CreateFile(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Control(SafeFileHandle file, int command, int argument);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial byte* Map(byte* address, nuint length, int protection, int flags, SafeFileHandle file, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Unmap(byte* address, nuint length);
}
