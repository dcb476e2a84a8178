using System.Runtime.InteropServices;

namespace LpLlm.Memory.Sources;

/// <summary>The system calls of local memory. Constants are those of Linux on x86-64 and arm64; bound on first use, never at load.</summary>
internal static partial class Libc
{
    public const int ProtReadWrite = 1 | 2;
    public const int MapPrivate = 0x2;
    public const int MapAnonymous = 0x20;
    public const int MapNoReserve = 0x4000;
    public const int AdviseDontFork = 10;
    public const int AdviseHugePage = 14;
    public const int AdviseNoHugePage = 15;
    public const int AdviseDontDump = 16;
    public const int AdvisePopulateWrite = 23;
    public const int LimitMemlock = 8;
    public const nint MapFailed = -1;

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    public static partial nint Map(nint address, nint length, int protection, int flags, int descriptor, long offset);

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

    [StructLayout(LayoutKind.Sequential)]
    public struct ResourceLimit
    {
        public ulong Current;
        public ulong Maximum;
    }
}
