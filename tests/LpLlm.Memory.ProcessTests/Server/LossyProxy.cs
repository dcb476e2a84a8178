using System.Net.Sockets;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Pipes;
using LpLlm.Memory.Transport.Pipes.Unix;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Tests.Server;

/// <summary>
/// A socket in front of a daemon's that passes bytes and descriptors on, both ways, and knows no more of the protocol than a frame's header: it drops
/// the first reply to each of some calls, and the connection with it.
/// </summary>
internal sealed class LossyProxy : IAsyncDisposable
{
    private readonly string _daemonPath;
    private readonly HashSet<PoolMethod> _losses;
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly List<Task> _connections = [];
    private readonly Task _accepting;
    private int _lost;

    public LossyProxy(Daemon daemon, params PoolMethod[] losses)
    {
        _daemonPath = daemon.SocketPath;
        _losses = [.. losses];
        var path = Path.Combine(daemon.Folder, "lossy.sock");
        EndPoint = new Uri($"pipe://{path}");
        _listener.Bind(new UnixDomainSocketEndPoint(path));
        _listener.Listen();
        _accepting = AcceptAsync();
    }

    public Uri EndPoint { get; }

    /// <summary>Replies that were lost.</summary>
    public int Lost => Volatile.Read(ref _lost);

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _accepting.DefaultTimeout();
        await Task.WhenAll(_connections).DefaultTimeout();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _connections.Add(ServeAsync(await _listener.AcceptAsync()));
            }
        }
        catch (Exception end) when (end is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using var ours = client;
        using var daemon = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await daemon.ConnectAsync(new UnixDomainSocketEndPoint(_daemonPath));
        await Task.WhenAny(PassAsync(client, daemon, _ => true), PassAsync(daemon, client, MayPass(new FrameHeaders())));
    }

    private Func<ReadOnlyMemory<byte>, bool> MayPass(FrameHeaders headers) => bytes =>
    {
        foreach (var header in headers.Read(bytes.Span))
        {
            if (header.Kind == FrameKind.Reply && _losses.Remove(header.Method))
            {
                Interlocked.Increment(ref _lost);
                return false;
            }
        }

        return true;
    };

    /// <summary>Until either end closes, or a piece may not pass.</summary>
    private static async Task PassAsync(Socket from, Socket to, Func<ReadOnlyMemory<byte>, bool> mayPass)
    {
        var buffer = new byte[64 << 10];
        var files = new List<SafeFileHandle>();
        try
        {
            while (true)
            {
                await from.ReceiveAsync(Memory<byte>.Empty);
                var count = SocketFiles.Receive(from, buffer, files.Add);
                if (count == 0 || (count > 0 && !mayPass(buffer.AsMemory(0, count))))
                {
                    return;
                }

                if (count > 0)
                {
                    await SendAsync(to, buffer.AsMemory(0, count), files);
                }

                files.ForEach(file => file.Dispose());
                files.Clear();
            }
        }
        catch (Exception end) when (end is SocketException or ObjectDisposedException)
        {
            // The other direction has ended, and both sockets with it.
        }
        finally
        {
            files.ForEach(file => file.Dispose());
        }
    }

    private static async Task SendAsync(Socket to, ReadOnlyMemory<byte> bytes, List<SafeFileHandle> files)
    {
        foreach (var chunk in FileChunk.Hold(files))
        {
            try
            {
                int sent;
                while ((sent = SocketFiles.Send(to, bytes.Span, chunk)) == SocketFiles.NotNow)
                {
                    await Task.Delay(1);
                }

                bytes = bytes[sent..];
            }
            finally
            {
                chunk.Release();
            }
        }

        while (bytes.Length > 0)
        {
            bytes = bytes[await to.SendAsync(bytes)..];
        }
    }
}
