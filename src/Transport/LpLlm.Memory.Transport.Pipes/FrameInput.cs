using System.Buffers;
using System.IO.Pipelines;
using LpLlm.Memory.Transport.Server;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>Frames on their way in. An idle connection holds no buffer. For one reader, who disposes it.</summary>
internal sealed class FrameInput : IDisposable
{
    private readonly PipeLink _link;
    private readonly FrameDecoder _decoder;
    private readonly PeerShare? _files;
    private readonly TimeSpan _readTimeout;
    private readonly ITimer _deadline;
    private readonly Action<SafeFileHandle> _receive;

    /// <summary>Only a buffer: filled and read by one loop.</summary>
    private readonly Pipe _pipe = PipeBuffer.Create();

    private bool _isTimed;

    /// <summary>Whether all bytes that have come were decoded.</summary>
    private bool _isEmpty = true;

    private int _chargedFiles;

    /// <param name="link">Connected.</param>
    /// <param name="decoder">Disposed with this.</param>
    /// <param name="files">This connection's share of descriptors in messages that are not whole; null for no limit.</param>
    /// <param name="readTimeout">From the first to the last byte of a frame, and for the preface.</param>
    /// <param name="time">For the timeout.</param>
    /// <param name="timedOut">Called when it is over.</param>
    public FrameInput(PipeLink link, FrameDecoder decoder, PeerShare? files, TimeSpan readTimeout, TimeProvider time, Action timedOut)
    {
        _link = link;
        _decoder = decoder;
        _files = files;
        _readTimeout = readTimeout;
        _receive = decoder.Add;
        _deadline = time.CreateTimer(static state => ((Action)state!)(), timedOut, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Reads the other end's preface.</summary>
    /// <returns>Null if the connection ended before.</returns>
    /// <exception cref="FrameException">It is none of this protocol.</exception>
    /// <inheritdoc cref="PipeLink.ReceiveAsync"/>
    public async ValueTask<byte[]?> ReadPrefaceAsync(bool hasDeadline)
    {
        SetTimed(hasDeadline);
        while (true)
        {
            if (TryReadPreface() is { } preface)
            {
                SetTimed(false);
                return preface;
            }

            if (!await FillAsync().ConfigureAwait(false))
            {
                return null;
            }
        }
    }

    /// <summary>Reads the next frame.</summary>
    /// <returns>Null at the connection's end.</returns>
    /// <exception cref="FrameException">The other end broke the protocol.</exception>
    /// <inheritdoc cref="PipeLink.ReceiveAsync"/>
    public async ValueTask<Frame?> ReadAsync()
    {
        while (true)
        {
            if (TryRead(out var frame))
            {
                return frame;
            }

            if (!await FillAsync().ConfigureAwait(false))
            {
                return null;
            }
        }
    }

    /// <summary>The time until the next read is not the other end's.</summary>
    public void Pause() => SetTimed(false);

    public void Dispose()
    {
        _deadline.Dispose();
        _decoder.Dispose();
    }

    private byte[]? TryReadPreface()
    {
        if (!_pipe.Reader.TryRead(out var result))
        {
            return null;
        }

        var start = result.Buffer.Slice(0, Math.Min(result.Buffer.Length, Preface.LengthBytes)).ToArray();
        var isWhole = start.Length == Preface.LengthBytes;
        _isEmpty = isWhole && result.Buffer.Length == Preface.LengthBytes;
        _pipe.Reader.AdvanceTo(isWhole ? result.Buffer.GetPosition(Preface.LengthBytes) : result.Buffer.Start, isWhole ? result.Buffer.GetPosition(Preface.LengthBytes) : result.Buffer.End);
        Preface.Check(start);
        return isWhole ? start : null;
    }

    private bool TryRead(out Frame frame)
    {
        bool isWhole;
        if (_pipe.Reader.TryRead(out var result))
        {
            var buffer = result.Buffer;
            isWhole = _decoder.TryRead(ref buffer, out frame);
            _isEmpty = buffer.IsEmpty;
            _pipe.Reader.AdvanceTo(buffer.Start, isWhole ? buffer.Start : buffer.End);
        }
        else if (_isEmpty)
        {
            // Descriptors without bytes are too many; the rest of a frame that is skipped has to come in time too.
            var nothing = ReadOnlySequence<byte>.Empty;
            isWhole = _decoder.TryRead(ref nothing, out frame);
        }
        else
        {
            frame = default;
            return false;
        }

        ChargeFiles();

        // The clock runs from a frame's first byte; it starts anew with each frame.
        if (isWhole)
        {
            SetTimed(false);
        }
        else if (_decoder.IsInsideFrame != _isTimed)
        {
            SetTimed(_decoder.IsInsideFrame);
        }

        return isWhole;
    }

    private async ValueTask<bool> FillAsync()
    {
        var count = await _link.ReceiveAsync(_pipe.Writer, _receive).ConfigureAwait(false);
        PipeBuffer.Flushed(_pipe.Writer.FlushAsync());
        ChargeFiles();
        return count > 0;
    }

    private void ChargeFiles()
    {
        var difference = _decoder.HeldFiles - _chargedFiles;
        if (difference > 0 && _files?.TryTake(difference) == false)
        {
            throw new FrameException("Clients have too many descriptors in unfinished messages, and this one's process has most of them.");
        }

        if (difference < 0)
        {
            _files?.Return(-difference);
        }

        _chargedFiles += difference;
    }

    private void SetTimed(bool isTimed)
    {
        if (_isTimed != isTimed)
        {
            _isTimed = isTimed;
            _deadline.Change(isTimed ? _readTimeout : Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }
}
