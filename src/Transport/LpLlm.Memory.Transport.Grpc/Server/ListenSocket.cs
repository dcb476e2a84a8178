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
        return new ListenSocket(endPoint, socket, file);
    }

    public void Dispose()
    {
        Socket.Dispose();
        file?.Dispose();
    }
}
