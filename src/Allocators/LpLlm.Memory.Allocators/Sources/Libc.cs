using System.Numerics;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Sources;

/// <summary>The system calls of local memory. Constants are those of Linux on x86-64 and arm64; bound on first use, never at load.</summary>
internal static partial class Libc
{
    public const int ProtNone = 0;
    public const int ProtReadWrite = 1 | 2;
    public const int MapShared = 0x1;
    public const int MapPrivate = 0x2;
    public const int MapFixed = 0x10;
    public const int MapAnonymous = 0x20;
    public const int MapNoReserve = 0x4000;
    public const int MapHugePages = 0x40000;
    public const int AdviseDontFork = 10;
    public const int AdviseHugePage = 14;
    public const int AdviseNoHugePage = 15;
    public const int AdviseDontDump = 16;
    public const int AdvisePopulateWrite = 23;
    public const int AdviseCollapse = 25;
    public const int LimitMemlock = 8;
    public const uint MemfdCloseOnExec = 1;
    public const uint MemfdAllowSealing = 2;
    public const uint MemfdHugePages = 4;
    public const uint MemfdNoExecSeal = 8;
    public const int AddSeals = 1033;
    public const int GetSeals = 1034;
    public const int SealSeal = 1;
    public const int SealShrink = 2;
    public const int SealGrow = 4;
    public const int SealWrite = 8;
    public const int SealFutureWrite = 0x10;
    public const int AllocateKeepSize = 1;
    public const int AllocatePunchHole = 2;
    public const int WorkingFolder = -100;
    public const int LookAtLink = 0x100;
    public const int LookAtDescriptor = 0x1000;
    public const uint StatusBasics = 0x7ff;
    public const long HugeFileSystem = 0x958458f6;
    public const nint MapFailed = -1;

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    public static partial nint Map(nint address, nint length, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    public static partial nint Map(nint address, nint length, int protection, int flags, SafeFileHandle file, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    public static partial int Unmap(nint address, nint length);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    public static partial int Advise(nint address, nint length, int advice);

    [LibraryImport("libc", EntryPoint = "mlock", SetLastError = true)]
    public static partial int Lock(nint address, nint length);

    [LibraryImport("libc", EntryPoint = "munlock", SetLastError = true)]
    public static partial int Unlock(nint address, nint length);

    [LibraryImport("libc", EntryPoint = "getrlimit", SetLastError = true)]
    public static partial int GetLimit(int resource, out ResourceLimit limit);

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int CreateMemoryFile(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    public static partial int Truncate(SafeFileHandle file, long lengthBytes);

    [LibraryImport("libc", EntryPoint = "fchmod", SetLastError = true)]
    public static partial int ChangeMode(SafeFileHandle file, uint mode);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    public static partial int Control(SafeFileHandle file, int command, int argument);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    public static partial int Allocate(SafeFileHandle file, int mode, long offset, long lengthBytes);

    /// <summary>What fstat says, in a layout that is the same on all processors.</summary>
    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int GetStatus(SafeFileHandle file, string path, int flags, uint mask, out FileStatus status);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int GetStatus(int folder, string path, int flags, uint mask, out FileStatus status);

    [LibraryImport("libc", EntryPoint = "fstatfs", SetLastError = true)]
    public static partial int GetFileSystem(SafeFileHandle file, out FileSystemStatus status);

    /// <summary>The C library has no functions for the calls of memory policy.</summary>
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    public static unsafe partial nint BindMemory(
        nint number, nint address, nint length, nint mode, ulong* nodeMask, nint nodeMaskBits, nint flags);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    public static unsafe partial nint GetMemoryPolicy(
        nint number, int* mode, ulong* nodeMask, nint nodeMaskBits, nint address, nint flags);

    /// <summary>How mmap and memfd_create alike name a size of huge pages: its logarithm, from bit 26 on.</summary>
    public static int HugePageSizeFlag(long pageBytes) => BitOperations.Log2((ulong)pageBytes) << 26;

    [StructLayout(LayoutKind.Sequential)]
    public struct ResourceLimit
    {
        public ulong Current;
        public ulong Maximum;
    }

    /// <summary>struct statx.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    public struct FileStatus
    {
        [FieldOffset(20)]
        public uint UserId;

        [FieldOffset(28)]
        public ushort Mode;

        [FieldOffset(32)]
        public ulong Inode;

        [FieldOffset(40)]
        public ulong LengthBytes;

        [FieldOffset(48)]
        public ulong Blocks;
    }

    /// <summary>struct statfs, whose first fields are these two.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 256)]
    public struct FileSystemStatus
    {
        public long Kind;
        public long BlockBytes;
    }
}
