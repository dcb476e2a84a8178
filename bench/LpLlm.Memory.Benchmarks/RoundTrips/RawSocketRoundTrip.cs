using System.Net.Sockets;

namespace LpLlm.Memory.Benchmarks.RoundTrips;

/// <summary>The least that two ends of a Unix socket can do: no frames, no requests, no choice.</summary>
internal sealed class RawSocketRoundTrip : IRoundTrip
{
    private readonly Socket _client = NewSocket();
    private readonly Socket _server;
    private readonly Task _echo;
    private readonly byte[] _buffer = new byte[RoundTripRun.MessageBytes];

    private RawSocketRoundTrip(string path)
    {
        using var listener = NewSocket();
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(1);
        _client.Connect(new UnixDomainSocketEndPoint(path));
        _server = listener.Accept();
        _echo = EchoAsync(_server);
    }

    public string Name => "(raw Unix socket)";

    public static ValueTask<IRoundTrip> OpenAsync(string folder) => new(new RawSocketRoundTrip(Path.Combine(folder, "raw.sock")));

    public async ValueTask SendAndReceiveAsync()
    {
        await _client.SendAsync(_buffer);
        for (var received = 0; received < _buffer.Length;)
        {
            received += await ReceiveAsync(_client, _buffer.AsMemory(received));
        }
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _echo;
        _server.Dispose();
    }

    private static async Task EchoAsync(Socket socket)
    {
        var buffer = new byte[RoundTripRun.MessageBytes];
        int received;
        while ((received = await socket.ReceiveAsync(buffer)) > 0)
        {
            await socket.SendAsync(buffer.AsMemory(0, received));
        }
    }

    private static async ValueTask<int> ReceiveAsync(Socket socket, Memory<byte> buffer) =>
        await socket.ReceiveAsync(buffer) is > 0 and var received ? received : throw new IOException("The other end is gone.");

    private static Socket NewSocket() => new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
}
