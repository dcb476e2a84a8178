using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>
/// Frames on their way out. Whoever sends first writes to the link itself, for all that send meanwhile: no thread is woken, and many frames
/// leave with one call. Thread-safe; nobody waits for the other end.
/// </summary>
/// <param name="link">Connected.</param>
/// <param name="maxUnsentBytes">What may wait for the other end to read.</param>
/// <param name="failed">Told once that nothing more can be sent.</param>
internal sealed class FrameOutput(PipeLink link, int maxUnsentBytes, Action<Exception> failed)
{
    private readonly Lock _gate = new();
    private readonly Queue<FileChunk> _files = new();

    /// <summary>Only a buffer: it is read where it is not empty, and never makes a writer wait.</summary>
    private readonly Pipe _pipe = PipeBuffer.Create();

    /// <summary>Of the one who sends.</summary>
    private ReadOnlySequence<byte> _reading;

    private long _written;
    private long _sent;
    private bool _isSending;
    private bool _isClosed;

    /// <summary>Sends a frame, or drops it if the connection has ended.</summary>
    /// <exception cref="ObjectDisposedException">One of the descriptors is closed; nothing was sent.</exception>
    public void Send(FrameKind kind, uint call, PoolMethod method, ReadOnlySpan<byte> payload, IReadOnlyList<SafeFileHandle> files)
    {
        var header = new FrameHeader((uint)payload.Length, call, kind, method, files.Count);
        var length = checked((int)header.FrameBytes);
        var chunks = FileChunk.Hold(files);
        bool isClosed, isFull;
        lock (_gate)
        {
            isFull = !_isClosed && _written - _sent > maxUnsentBytes;
            isClosed = _isClosed || isFull;
            if (!isClosed)
            {
                AppendUnsynchronized(header, length, payload, chunks);
                if (_isSending)
                {
                    return;
                }

                _isSending = true;
            }
        }

        if (isClosed)
        {
            Array.ForEach(chunks, chunk => chunk.Release());
            if (isFull)
            {
                Fail(new IOException($"The other end has left {maxUnsentBytes} B unread (MaxUnsentBytes)."));
            }

            return;
        }

        _ = DrainAsync();
    }

    /// <summary>Sends bytes that are no frame.</summary>
    public void SendRaw(ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            if (_isClosed)
            {
                return;
            }

            AppendUnsynchronized(bytes.Length, bytes);
            if (_isSending)
            {
                return;
            }

            _isSending = true;
        }

        _ = DrainAsync();
    }

    /// <summary>Drops what has not been sent.</summary>
    public void Close()
    {
        FileChunk[] left;
        lock (_gate)
        {
            _isClosed = true;
            left = [.. _files];
            _files.Clear();
        }

        Array.ForEach(left, chunk => chunk.Release());
    }

    private void AppendUnsynchronized(FrameHeader header, int length, ReadOnlySpan<byte> payload, FileChunk[] chunks)
    {
        for (var i = 0; i < chunks.Length; i++)
        {
            chunks[i].Position = _written + (i == 0 ? 0 : FrameHeader.LengthBytes + payload.Length + i - 1);
            _files.Enqueue(chunks[i]);
        }

        var span = _pipe.Writer.GetSpan(length);
        header.Write(span);
        payload.CopyTo(span[FrameHeader.LengthBytes..]);
        span[(FrameHeader.LengthBytes + payload.Length)..length].Clear();
        CommitUnsynchronized(length);
    }

    private void AppendUnsynchronized(int length, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_pipe.Writer.GetSpan(length));
        CommitUnsynchronized(length);
    }

    private void CommitUnsynchronized(int length)
    {
        _pipe.Writer.Advance(length);
        _written += length;

        PipeBuffer.Flushed(_pipe.Writer.FlushAsync());
    }

    private async Task DrainAsync()
    {
        try
        {
            while (Next(out var bytes, out var files))
            {
                try
                {
                    Advance(await link.SendAsync(bytes, files).ConfigureAwait(false));
                }
                finally
                {
                    files?.Release();
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or IOException)
        {
            Fail(e);
        }
    }

    /// <summary>The next bytes that can leave with one call: up to where descriptors ride.</summary>
    private bool Next(out ReadOnlyMemory<byte> bytes, out FileChunk? files)
    {
        long end;
        lock (_gate)
        {
            files = null;
            if (_isClosed || _written == _sent)
            {
                _isSending = false;
                bytes = default;
                return false;
            }

            if (_files.TryPeek(out var next) && next.Position == _sent)
            {
                files = _files.Dequeue();
            }

            end = Math.Min(_written, _files.TryPeek(out var later) ? later.Position : long.MaxValue) - _sent;
        }

        _pipe.Reader.TryRead(out var result);
        _reading = result.Buffer;
        bytes = _reading.First;
        bytes = bytes[..(int)Math.Min(bytes.Length, end)];
        return true;
    }

    private void Advance(int sent)
    {
        _pipe.Reader.AdvanceTo(_reading.GetPosition(sent));
        lock (_gate)
        {
            _sent += sent;
        }
    }

    private void Fail(Exception exception)
    {
        Close();
        failed(exception);
    }
}
