using System.Buffers;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>
/// Turns bytes and descriptors, however they are split, into frames. Checks a header before anything is kept of its frame, and holds no more
/// descriptors than the frame at hand declares. Not thread-safe.
/// </summary>
/// <param name="fromClient">Whether a client sends what is decoded; else a server.</param>
/// <param name="maxMessageBytes">Longest payload that is kept; longer ones are skipped.</param>
/// <param name="hasRoom">Asked once for each payload, before it is kept, by its length; those that it denies are skipped. Null for none.</param>
internal sealed class FrameDecoder(bool fromClient, int maxMessageBytes, Func<long, bool>? hasRoom = null) : IDisposable
{
    /// <summary>Longest payload that is skipped, the largest of all MaxMessageBytes; a longer one ends the connection.</summary>
    public const int MaxSkippedBytes = 64 << 20;

    private readonly Queue<SafeFileHandle> _files = new();
    private long _skippedBytes;
    private int _skippedFiles;
    private bool _isAdmitted;

    /// <summary>Whether part of a frame has arrived, and the rest has not.</summary>
    public bool IsInsideFrame { get; private set; }

    /// <summary>Descriptors of frames that are not whole.</summary>
    public int HeldFiles => _files.Count;

    /// <summary>Takes a descriptor over. Descriptors come in order, each before the last byte of its frame.</summary>
    public void Add(SafeFileHandle file) => _files.Enqueue(file);

    /// <summary>Takes one frame off the buffer's start.</summary>
    /// <param name="buffer">What has arrived and is not decoded; shortened by what was.</param>
    /// <param name="frame">The frame.</param>
    /// <returns>False if more bytes are needed.</returns>
    /// <exception cref="FrameException">The other end broke the protocol.</exception>
    public bool TryRead(ref ReadOnlySequence<byte> buffer, out Frame frame)
    {
        frame = default;
        if (!Skip(ref buffer))
        {
            return false;
        }

        if (buffer.Length < FrameHeader.LengthBytes)
        {
            return Wait(buffer.IsEmpty, buffer.IsEmpty ? 0 : FrameHeader.FilesPerChunk);
        }

        Span<byte> start = stackalloc byte[FrameHeader.LengthBytes];
        buffer.Slice(0, FrameHeader.LengthBytes).CopyTo(start);
        var header = FrameHeader.Read(start);
        if (IsTooLong(header) || !Admit(header))
        {
            _skippedBytes = header.FrameBytes;
            _skippedFiles = header.FileCount;
            frame = new Frame(header, null);
            Skip(ref buffer);
            return true;
        }

        if (buffer.Length < header.FrameBytes)
        {
            return Wait(isEmpty: false, header.FileCount);
        }

        var payload = buffer.Slice(FrameHeader.LengthBytes, (long)header.PayloadBytes).ToArray();
        frame = new Frame(header, new PoolMessage(payload, TakeFiles(header.FileCount)));
        buffer = buffer.Slice(header.FrameBytes);
        IsInsideFrame = false;
        _isAdmitted = false;
        return true;
    }

    /// <summary>Closes the descriptors of frames that were not whole.</summary>
    public void Dispose()
    {
        while (_files.TryDequeue(out var file))
        {
            file.Dispose();
        }
    }

    private bool Wait(bool isEmpty, int allowedFiles)
    {
        if (_files.Count > allowedFiles)
        {
            throw new FrameException($"{_files.Count} descriptors came where at most {allowedFiles} were announced.");
        }

        IsInsideFrame = !isEmpty;
        return false;
    }

    /// <summary>Drops what is left of a frame that was too long.</summary>
    private bool Skip(ref ReadOnlySequence<byte> buffer)
    {
        if (_skippedBytes == 0)
        {
            return true;
        }

        var skipped = Math.Min(_skippedBytes, buffer.Length);
        buffer = buffer.Slice(skipped);
        _skippedBytes -= skipped;
        if (_skippedBytes > 0)
        {
            return Wait(isEmpty: false, _skippedFiles);
        }

        Array.ForEach(TakeFiles(_skippedFiles), file => file.Dispose());
        IsInsideFrame = false;
        return true;
    }

    private SafeFileHandle[] TakeFiles(int count)
    {
        if (count == 0)
        {
            return [];
        }

        if (_files.Count < count)
        {
            throw new FrameException($"A frame announced {count} descriptors and had {_files.Count}.");
        }

        var files = new SafeFileHandle[count];
        for (var i = 0; i < count; i++)
        {
            files[i] = _files.Dequeue();
        }

        return files;
    }

    private bool Admit(FrameHeader header) => _isAdmitted = _isAdmitted || hasRoom is null || header.PayloadBytes == 0 || hasRoom(header.PayloadBytes);

    private bool IsTooLong(FrameHeader header)
    {
        var (known, hasMessage, longest) = header.Kind switch
        {
            FrameKind.Request => (fromClient, true, maxMessageBytes),
            FrameKind.Cancel => (fromClient, false, 0),
            FrameKind.Reply or FrameKind.Event => (!fromClient, true, maxMessageBytes),
            FrameKind.Fault => (!fromClient, false, FaultPayload.MaxBytes),
            FrameKind.End => (!fromClient, false, 0),
            _ => (false, false, 0),
        };
        if (!known)
        {
            throw new FrameException($"A frame of kind {(byte)header.Kind} does not come from this end.");
        }

        if (header.FileCount > (hasMessage ? FrameHeader.MaxFiles : 0))
        {
            throw new FrameException($"A {header.Kind} frame announced {header.FileCount} descriptors.");
        }

        if (header.PayloadBytes > (hasMessage ? MaxSkippedBytes : longest))
        {
            throw new FrameException($"A {header.Kind} frame announced {header.PayloadBytes} B.");
        }

        return header.PayloadBytes > longest;
    }
}
