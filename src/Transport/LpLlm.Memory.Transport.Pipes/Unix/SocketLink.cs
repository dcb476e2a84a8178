using System.Buffers;
using System.Net.Sockets;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes.Unix;

/// <summary>A Unix socket; descriptors of memory files travel by SCM_RIGHTS, and no others. An idle one holds no buffer.</summary>
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
    private Action<SafeFileHandle>? _admit;
    private Action<SafeFileHandle> _receive = static file => file.Dispose();
    private bool _hasForeign;
    private int _isDisposed;

    public override async ValueTask<int> ReceiveAsync(IBufferWriter<byte> writer, Action<SafeFileHandle> receive)
    {
        while (true)
        {
            if (!_mayHaveMore)
            {
                // Completes when there is something to read, and reads nothing: so no buffer waits, and no descriptor is lost.
                await socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None).ConfigureAwait(false);
            }

            _receive = receive;
            var count = Receive(writer);
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

    public override void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            TakeRest();
            socket.Dispose();
        }
    }

    private int Receive(IBufferWriter<byte> writer)
    {
        var bytes = writer.GetSpan(_fillBytes);
        var count = SocketFiles.Receive(socket, bytes, _admit ??= Admit);
        if (_hasForeign)
        {
            throw new FrameException("A descriptor came that leads to no memory file: no others are passed here.");
        }

        _mayHaveMore = count == bytes.Length;
        _fillBytes = _mayHaveMore ? Math.Min(2 * _fillBytes, MostBytes) : LeastBytes;
        writer.Advance(Math.Max(count, 0));
        return count;
    }

    private void Admit(SafeFileHandle file)
    {
        if (CloseForeign(file))
        {
            _hasForeign = true;
        }
        else
        {
            _receive(file);
        }
    }

    /// <summary>Gives away what leads to no memory file.</summary>
    /// <returns>Whether it did.</returns>
    private bool CloseForeign(SafeFileHandle file)
    {
        if (ForeignFiles.IsMemory(file))
        {
            return false;
        }

        ForeignFiles.Close(file, SocketPeer.FindUser(socket));
        return true;
    }

    /// <summary>Descriptors that nobody has read would be closed by the kernel with the socket, on this thread: see <see cref="ForeignFiles"/>.</summary>
    private void TakeRest()
    {
        try
        {
            socket.Shutdown(SocketShutdown.Both); // nothing comes after it
            Span<byte> rest = stackalloc byte[LeastBytes];
            while (SocketFiles.Receive(socket, rest, Drop) > 0)
            {
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or FrameException)
        {
            // The other end was faster, or this process has no descriptor left to take any.
        }

        void Drop(SafeFileHandle file)
        {
            if (!CloseForeign(file))
            {
                file.Dispose();
            }
        }
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
            retry = Backoff.Next(retry, LastRetry);
        }

        return sent;
    }
}
