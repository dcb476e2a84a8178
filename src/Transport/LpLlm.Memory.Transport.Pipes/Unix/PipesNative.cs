using System.Runtime.InteropServices;

namespace LpLlm.Memory.Transport.Pipes.Unix;

/// <summary>The system calls that pass descriptors over Unix sockets. Constants are those of Linux on x86-64 and arm64; bound on first use.</summary>
internal static partial class PipesNative
{
    public const int DontWait = 0x40;
    public const int NoSignal = 0x4000;
    public const int ControlTruncated = 8;
    public const int CloseFilesOnExec = 0x40000000;
    public const int TooManyReferences = 109;

    [LibraryImport("libc", EntryPoint = "recvmsg", SetLastError = true)]
    public static unsafe partial nint Receive(SafeHandle socket, MessageHeader* message, int flags);

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    public static unsafe partial nint Send(SafeHandle socket, MessageHeader* message, int flags);

    /// <summary>struct msghdr.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct MessageHeader
    {
        public void* Name;
        public uint NameLength;
        public Buffer* Buffers;
        public nuint BufferCount;
        public void* Control;
        public nuint ControlLength;
        public int Flags;
    }

    /// <summary>struct iovec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct Buffer
    {
        public void* Start;
        public nuint Length;
    }
}
