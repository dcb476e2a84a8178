using System.Buffers;
using System.Net.Sockets;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes.Unix;

/// <summary>A Unix socket; descriptors travel by SCM_RIGHTS. An idle one holds no buffer.</summary>
/// <param name="socket">Connected.</param>
/// <param name="stuckTimeout">How long descriptors may wait to leave.</param>
/// <param name="time">For retries.</param>
internal sealed class SocketLink(Socket socket, TimeSpan stuckTimeout, TimeProvider time) : PipeLink
{
    private const int LeastBytes = 4096;
    private const int MostBytes = 64 << 10;

    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LastRetry = TimeSpan.FromMilliseconds(64);

    private bool _mayHaveMore;
    private int _fillBytes = LeastBytes;

    public override async ValueTask<int> ReceiveAsync(IBufferWriter<byte> writer, Action<SafeFileHandle> receive)
    {
        while (true)
        {
            if (!_mayHaveMore)
            {
                // Completes when there is something to read, and reads nothing: so no buffer waits, and no descriptor is lost.
                await socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None).ConfigureAwait(false);
            }

            var count = Receive(writer, receive);
            if (count != SocketFiles.NotNow)
            {
                return count;
            }
        }
    }

    public override ValueTask<int> SendAsync(ReadOnlyMemory<byte> bytes, FileChunk? files) =>
        files is null ? socket.SendAsync(bytes, SocketFlags.None) : SendWithFilesAsync(bytes, files);

    public override void EndSending() => socket.Shutdown(SocketShutdown.Send);

    public override PoolPeer Identify() => SocketPeer.Identify(socket, passesFiles: true);

    public override void Dispose() => socket.Dispose();

    private int Receive(IBufferWriter<byte> writer, Action<SafeFileHandle> receive)
    {
        var bytes = writer.GetSpan(_fillBytes);
        var count = SocketFiles.Receive(socket, bytes, receive);
        _mayHaveMore = count == bytes.Length;
        _fillBytes = _mayHaveMore ? Math.Min(2 * _fillBytes, MostBytes) : LeastBytes;
        writer.Advance(Math.Max(count, 0));
        return count;
    }

    private async ValueTask<int> SendWithFilesAsync(ReadOnlyMemory<byte> bytes, FileChunk files)
    {
        int sent;
        var retry = FirstRetry;
        var started = time.GetTimestamp();
        while ((sent = SocketFiles.Send(socket, bytes.Span, files)) == SocketFiles.NotNow)
        {
            if (time.GetElapsedTime(started) > stuckTimeout)
            {
                throw new IOException(
                    $"Descriptors could not leave for {stuckTimeout.TotalSeconds:0.#} s (ReadTimeout): the other end does not read, or too many of this user's are under way.");
            }

            await Task.Delay(retry, time).ConfigureAwait(false);
            retry = retry * 2 < LastRetry ? retry * 2 : LastRetry;
        }

        return sent;
    }
}
