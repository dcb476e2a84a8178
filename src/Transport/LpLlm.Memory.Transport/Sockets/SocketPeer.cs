using System.Net.Sockets;

namespace LpLlm.Memory.Transport.Sockets;

/// <summary>Asks the kernel who is at the other end of a Unix socket, and watches that process.</summary>
internal static class SocketPeer
{
    /// <summary>
    /// Credentials (SO_PEERCRED) and a watch on the process (SO_PEERPIDFD; before Linux 6.5 pidfd_open, checked against the start time). For
    /// anything but a Unix socket only the address is known: the same call there answers pid 0 and uid -1.
    /// </summary>
    public static PoolPeer Identify(Socket socket, bool passesFiles) => throw new NotImplementedException($"{socket}{passesFiles}");
}
