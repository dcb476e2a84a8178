using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace LpLlm.Memory.Transport;

/// <summary>Listens as another user, for which this process must be root: the kernel keeps the credentials of the thread that called listen.</summary>
internal static partial class Impostor
{
    public const uint UserId = 54321;

    public static Socket Listen(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path));
        SetUser(UserId);
        try
        {
            socket.Listen();
        }
        finally
        {
            SetUser(0);
        }

        return socket;
    }

    /// <summary>Of this thread only: the C library's function would set all threads'.</summary>
    private static void SetUser(uint user)
    {
        var number = RuntimeInformation.ProcessArchitecture is Architecture.Arm64 ? 147 : 117; // setresuid
        if (SystemCall(number, -1, (nint)user, -1) != 0)
        {
            throw new InvalidOperationException($"The user cannot be set: {Marshal.GetLastPInvokeErrorMessage()}.");
        }
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint real, nint effective, nint saved);
}
