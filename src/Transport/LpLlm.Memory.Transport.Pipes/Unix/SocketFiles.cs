using System.Net.Sockets;
using System.Runtime.InteropServices;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes.Unix;

/// <summary>sendmsg and recvmsg with descriptors. Neither ever waits.</summary>
internal static class SocketFiles
{
    /// <summary>Nothing was sent or received: not now.</summary>
    public const int NotNow = -1;

    /// <summary>struct cmsghdr.</summary>
    private const int ControlHeaderBytes = 16;

    /// <summary>Room for 253 descriptors, rounded up to 8: the kernel never passes more at once.</summary>
    private const int ControlBytes = ControlHeaderBytes + (((FrameHeader.FilesPerChunk * sizeof(int)) + 7) & ~7);

    /// <summary>Receives bytes, and the descriptors that came with them, which are closed on exec.</summary>
    /// <returns>The count of bytes, 0 at the connection's end, or <see cref="NotNow"/>.</returns>
    /// <exception cref="SocketException">The connection is broken.</exception>
    /// <exception cref="FrameException">Descriptors were lost: this process has none left.</exception>
    public static unsafe int Receive(Socket socket, Span<byte> bytes, Action<SafeFileHandle> receive)
    {
        var control = stackalloc byte[ControlBytes];
        fixed (byte* start = bytes)
        {
            var buffer = new PipesNative.Buffer { Start = start, Length = (nuint)bytes.Length };
            PipesNative.MessageHeader message = default;
            nint count;
            do
            {
                message = new PipesNative.MessageHeader { Buffers = &buffer, BufferCount = 1, Control = control, ControlLength = ControlBytes };
                count = PipesNative.Receive(socket.SafeHandle, &message, PipesNative.DontWait | PipesNative.CloseFilesOnExec);
            }
            while (count < 0 && Marshal.GetLastPInvokeError() == SocketNative.Interrupted);

            if (count < 0)
            {
                return Marshal.GetLastPInvokeError() == SocketNative.WouldBlock ? NotNow : throw new SocketException(Marshal.GetLastPInvokeError());
            }

            Take(new ReadOnlySpan<byte>(control, (int)message.ControlLength), receive);
            return (message.Flags & PipesNative.ControlTruncated) == 0
                ? (int)count
                : throw new FrameException("Descriptors were lost on the way: this process has none left.");
        }
    }

    /// <summary>Sends bytes with descriptors on the first of them.</summary>
    /// <returns>The count of bytes, or <see cref="NotNow"/>: neither a byte nor a descriptor was sent.</returns>
    /// <exception cref="SocketException">The connection is broken.</exception>
    public static unsafe int Send(Socket socket, ReadOnlySpan<byte> bytes, FileChunk files)
    {
        var control = stackalloc byte[ControlBytes];
        new Span<byte>(control, ControlBytes).Clear();
        var length = ControlHeaderBytes + (files.Count * sizeof(int));
        *(nuint*)control = (nuint)length;
        *(int*)(control + 8) = SocketNative.SocketLevel;
        *(int*)(control + 12) = SocketNative.PassRights;
        files.CopyTo(new Span<int>(control + ControlHeaderBytes, files.Count));
        fixed (byte* start = bytes)
        {
            var buffer = new PipesNative.Buffer { Start = start, Length = (nuint)bytes.Length };
            var message = new PipesNative.MessageHeader
            {
                Buffers = &buffer,
                BufferCount = 1,
                Control = control,
                ControlLength = (nuint)((length + 7) & ~7),
            };
            nint count;
            do
            {
                count = PipesNative.Send(socket.SafeHandle, &message, PipesNative.DontWait | PipesNative.NoSignal);
            }
            while (count < 0 && Marshal.GetLastPInvokeError() == SocketNative.Interrupted);

            // Too many descriptors of this user are under way (their count is limited like open files): other clients have to read first.
            return count >= 0 ? (int)count
                : Marshal.GetLastPInvokeError() is SocketNative.WouldBlock or PipesNative.TooManyReferences ? NotNow
                : throw new SocketException(Marshal.GetLastPInvokeError());
        }
    }

    private static void Take(ReadOnlySpan<byte> control, Action<SafeFileHandle> receive)
    {
        while (control.Length >= ControlHeaderBytes)
        {
            var length = (int)MemoryMarshal.Read<nuint>(control);
            if (length < ControlHeaderBytes || length > control.Length)
            {
                return;
            }

            if (MemoryMarshal.Read<int>(control[8..]) == SocketNative.SocketLevel && MemoryMarshal.Read<int>(control[12..]) == SocketNative.PassRights)
            {
                foreach (var file in MemoryMarshal.Cast<byte, int>(control[ControlHeaderBytes..length]))
                {
                    receive(new SafeFileHandle(file, ownsHandle: true));
                }
            }

            control = control[Math.Min((length + 7) & ~7, control.Length)..];
        }
    }
}
