using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Client;

/// <summary>The system calls of mapping others' memory files. Constants are those of Linux on x86-64 and arm64; bound on first use.</summary>
internal static partial class MemoryCalls
{
    public const int ProtNone = 0;
    public const int ProtReadWrite = 1 | 2;
    public const int MapShared = 0x1;
    public const int MapPrivate = 0x2;
    public const int MapFixed = 0x10;
    public const int MapAnonymous = 0x20;
    public const int MapNoReserve = 0x4000;
    public const int AdviseDontFork = 10;
    public const int AdviseDontDump = 16;
    public const int GetSeals = 1034;
    public const int SealShrink = 2;
    public const int SealGrow = 4;
    public const nint Failed = -1;

    private const int EmptyPath = 0x1000;
    private const uint BasicStats = 0x7ff;

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    public static partial nint Map(nint address, nint length, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    public static partial nint Map(nint address, nint length, int protection, int flags, SafeFileHandle file, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    public static partial int Unmap(nint address, nint length);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    public static partial int Advise(nint address, nint length, int advice);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    public static partial int Control(SafeFileHandle file, int command, int argument);

    /// <summary>Inode and length of an open file; false with the error number set.</summary>
    public static bool TryGetStatus(SafeFileHandle file, out ulong inode, out long lengthBytes)
    {
        var failed = GetStatus(file, "", EmptyPath, BasicStats, out var status) != 0;
        (inode, lengthBytes) = (status.Inode, status.LengthBytes);
        return !failed;
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int GetStatus(SafeFileHandle directory, string path, int flags, uint mask, out FileStatus status);

    /// <summary>struct statx: the same on every architecture, unlike struct stat.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct FileStatus
    {
        [FieldOffset(32)]
        public ulong Inode;

        [FieldOffset(40)]
        public long LengthBytes;
    }
}
