using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Sockets;

/// <summary>The system calls about files: of sockets, and of the memory that passes through them.</summary>
internal static partial class SocketNative
{
    public const int OpenReadWrite = 2;
    public const int OpenCreate = 0x40;
    public const int OpenCloseOnExec = 0x80000;
    public const int LockExclusiveNow = 2 | 4;
    public const int CurrentDirectory = -100;
    public const int NoFollow = 0x100;
    public const int EmptyPath = 0x1000;
    public const uint StatusBasics = 0x7ff;
    public const int NoSuchFile = 2;
    public const int LimitFiles = 7;

    /// <summary>O_NOFOLLOW, whose number is the architecture's own.</summary>
    public static int OpenNoFollow { get; } = RuntimeInformation.ProcessArchitecture is Architecture.Arm64 ? 0x8000 : 0x20000;

    /// <summary>What a name leads to, without following a link at its end; null if there is nothing.</summary>
    /// <exception cref="IOException">It cannot be looked at.</exception>
    public static FileStatus? GetStatus(string path) =>
        Stat(CurrentDirectory, path, NoFollow, StatusBasics, out var status) == 0 ? status
        : Marshal.GetLastPInvokeError() == NoSuchFile ? null
        : throw Failure($"look at {path}");

    /// <summary>What an open file is; false with the error number set.</summary>
    public static bool TryGetStatus(SafeFileHandle file, out FileStatus status) => Stat(file, "", EmptyPath, StatusBasics, out status) == 0;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    public static partial int Lock(SafeFileHandle file, int operation);

    [LibraryImport("libc", EntryPoint = "fchmod", SetLastError = true)]
    public static partial int ChangeMode(SafeHandle file, uint mode);

    /// <summary>Not bounded by the umask, unlike the mode with which a socket is bound.</summary>
    [LibraryImport("libc", EntryPoint = "chmod", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int ChangeMode(string path, uint mode);

    [LibraryImport("libc", EntryPoint = "getrlimit", SetLastError = true)]
    public static partial int GetLimit(int resource, out ResourceLimit limit);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Stat(int directory, string path, int flags, uint mask, out FileStatus status);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Stat(SafeFileHandle directory, string path, int flags, uint mask, out FileStatus status);

    [StructLayout(LayoutKind.Sequential)]
    public struct ResourceLimit
    {
        public ulong Current;
        public ulong Maximum;
    }

    /// <summary>struct statx, which unlike struct stat is the same on all architectures.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    public struct FileStatus
    {
        private const int KindMask = 0xF000;

        [FieldOffset(20)]
        public uint UserId;

        [FieldOffset(28)]
        public ushort Mode;

        [FieldOffset(32)]
        public ulong Inode;

        [FieldOffset(40)]
        public long LengthBytes;

        [FieldOffset(136)]
        public ulong Device;

        public readonly bool IsDirectory => (Mode & KindMask) == 0x4000;

        public readonly bool IsSocket => (Mode & KindMask) == 0xC000;
    }
}
