using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Sockets;

/// <summary>The system calls of local sockets and of watching processes. Constants are those of Linux on x86-64 and arm64; bound on first use.</summary>
internal static partial class SocketNative
{
    public const int SocketLevel = 1;
    public const int PassRights = 1;
    public const int PeerCredentials = 17;
    public const int PeerProcessFile = 77;
    public const int DuplicateCloseOnExec = 1030;
    public const int EpollAdd = 1;
    public const int EpollDelete = 2;
    public const int EpollCloseOnExec = 0x80000;
    public const uint EpollIn = 1;
    public const short PollIn = 1;
    public const int NoSuchProcess = 3;
    public const int InvalidArgument = 22;
    public const int Interrupted = 4;
    public const int WouldBlock = 11;

    /// <summary>Number of pidfd_open, for which older C libraries have no function; the same on all architectures.</summary>
    private const nint OpenProcessNumber = 434;

    /// <summary>A second descriptor of the same file, closed on exec.</summary>
    /// <exception cref="IOException">The process has no descriptor left.</exception>
    public static SafeFileHandle Duplicate(SafeFileHandle file)
    {
        var copy = Control(file, DuplicateCloseOnExec, 0);
        return copy >= 0 ? new SafeFileHandle(copy, ownsHandle: true) : throw Failure("duplicate a descriptor");
    }

    /// <summary>A descriptor of a process, or null if there is no such process.</summary>
    /// <exception cref="IOException">It cannot be had.</exception>
    public static SafeFileHandle? OpenProcess(int processId)
    {
        var file = (int)SystemCall(OpenProcessNumber, processId, 0);
        return file >= 0 ? new SafeFileHandle(file, ownsHandle: true)
            : Marshal.GetLastPInvokeError() is NoSuchProcess or NoSuchFile or InvalidArgument ? null // the latter two while it is being reaped, by kernel
            : throw Failure($"watch process {processId}");
    }

    /// <summary>What the last system call failed with.</summary>
    public static IOException Failure(string what) => Failure(what, Marshal.GetLastPInvokeError());

    public static IOException Failure(string what, int error) => new($"The system cannot {what}: {Marshal.GetPInvokeErrorMessage(error)} (errno {error}).");

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    public static partial int Control(SafeFileHandle file, int command, int argument);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint GetUserId();

    [LibraryImport("libc", EntryPoint = "getegid")]
    public static partial uint GetGroupId();

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    public static partial int EpollCreate(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    public static unsafe partial int EpollControl(SafeFileHandle epoll, int operation, SafeFileHandle file, byte* epollEvent);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    public static unsafe partial int EpollWait(SafeFileHandle epoll, byte* events, int capacity, int timeoutMilliseconds);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    public static unsafe partial int Poll(PollRequest* requests, nuint count, int timeoutMilliseconds);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint first, nint second);

    [StructLayout(LayoutKind.Sequential)]
    public struct PollRequest
    {
        public int File;
        public short Events;
        public short Happened;
    }
}
