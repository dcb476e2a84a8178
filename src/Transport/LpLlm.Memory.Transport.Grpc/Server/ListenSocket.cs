using System.Net;
using System.Net.Sockets;
using LpLlm.Memory.Transport.Sockets;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>A socket that listens, and the end point that clients connect to.</summary>
/// <param name="endPoint">For clients.</param>
/// <param name="socket">Listens.</param>
/// <param name="file">A Unix socket's file; it goes with the listener.</param>
internal sealed class ListenSocket(Uri endPoint, Socket socket, IDisposable? file) : IDisposable
{
    private const int Backlog = 512;

    /// <summary>SO_PASSRIGHTS.</summary>
    private const int PassRights = 83;

    public Uri EndPoint { get; } = endPoint;

    public Socket Socket { get; } = socket;

    public bool IsUnix => file is not null;

    /// <exception cref="InvalidOperationException">It cannot be bound: in use, not an address of this host, or not allowed.</exception>
    public static ListenSocket BindTcp(Uri endPoint, IPAddress address)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(address, endPoint.Port));
            socket.Listen(Backlog);
            var port = ((IPEndPoint)socket.LocalEndPoint!).Port;
            return new ListenSocket(new UriBuilder(endPoint) { Port = port }.Uri, socket, file: null);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new InvalidOperationException($"The server cannot listen at {endPoint}: {e.Message}. Choose another port or end what uses it.", e);
        }
    }

    /// <exception cref="InvalidOperationException">Another server listens there, or the path is not safe to listen at.</exception>
    public static ListenSocket BindUnix(Uri endPoint, bool isForOtherUsers)
    {
        var (socket, file) = SocketFile.Bind(GrpcEndPoint.PathOf(endPoint), isForOtherUsers);
        RefuseDescriptors(socket);
        return new ListenSocket(endPoint, socket, file);
    }

    /// <summary>
    /// Nobody asks for descriptors here, so the kernel would close those that come within a read, on a thread of the server: which can take for ever
    /// (<see cref="ForeignFiles"/>). From Linux 6.16 on it refuses them to their sender instead; connections inherit that.
    /// </summary>
    private static void RefuseDescriptors(Socket socket)
    {
        try
        {
            socket.SetRawSocketOption(SocketNative.SocketLevel, PassRights, BitConverter.GetBytes(0));
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ProtocolOption)
        {
            // An older kernel: docs/operations.md says so.
        }
    }

    public void Dispose()
    {
        Socket.Dispose();
        file?.Dispose();
    }
}
