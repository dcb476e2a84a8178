using System.Net.Sockets;
using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Pipes.Unix;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>A client that keeps to no protocol but what a test tells it.</summary>
internal sealed class RawClient : IDisposable
{
    private readonly byte[] _buffer = new byte[64 << 10];

    private RawClient(Socket socket) => Socket = socket;

    public Socket Socket { get; }

    public static async Task<RawClient> ConnectAsync(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path)).DefaultTimeout();
        return new RawClient(socket);
    }

    /// <summary>Connected, and both prefaces exchanged.</summary>
    public static async Task<RawClient> GreetAsync(string path)
    {
        var client = await ConnectAsync(path);
        await client.SendAsync(Preface.Create());
        await client.ReceiveAsync(Preface.LengthBytes);
        return client;
    }

    public static byte[] Frame(uint call, int payloadBytes, FrameKind kind = FrameKind.Request, int files = 0)
    {
        var header = new FrameHeader((uint)payloadBytes, call, kind, PoolMethod.Renew, files);
        var bytes = new byte[header.FrameBytes];
        header.Write(bytes);
        return bytes;
    }

    public async Task SendAsync(byte[] bytes) => await Socket.SendAsync(bytes).DefaultTimeout();

    public int Send(byte[] bytes, params SafeFileHandle[] files)
    {
        var chunk = FileChunk.Hold(files).Single();
        try
        {
            return SocketFiles.Send(Socket, bytes, chunk);
        }
        finally
        {
            chunk.Release();
        }
    }

    public async Task<byte[]> ReceiveAsync(int lengthBytes)
    {
        var bytes = new byte[lengthBytes];
        for (var count = 0; count < lengthBytes;)
        {
            var received = await Socket.ReceiveAsync(bytes.AsMemory(count)).DefaultTimeout();
            received.Should().BePositive("the server must not close");
            count += received;
        }

        return bytes;
    }

    /// <summary>Reads until the server has closed.</summary>
    public async Task EndAsync()
    {
        try
        {
            while (await Socket.ReceiveAsync(_buffer).DefaultTimeout() > 0)
            {
            }
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionReset)
        {
            // It closed while bytes of ours were unread.
        }
    }

    public void Dispose() => Socket.Dispose();
}
