using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipes;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes.Windows;

/// <summary>
/// A named pipe. Bytes travel in packets: their count (4), the count of handles that ride on the first of them (4), the handles' numbers (8 each),
/// the bytes.
/// </summary>
/// <param name="stream">Connected, asynchronous.</param>
/// <param name="client">At the server's end: what is known of the client; null at the client's.</param>
[SupportedOSPlatform("windows")]
internal sealed class NamedPipeLink(PipeStream stream, NamedPipeClient? client) : PipeLink
{
    private const int HeaderBytes = 8;
    private const int NumberBytes = 8;

    /// <summary>Of one packet, which is copied once on its way out.</summary>
    private const int MostBytes = 64 << 10;

    private readonly byte[] _start = new byte[HeaderBytes];
    private HandlePassing? _handles = client is null ? new ClientHandles() : null;
    private int _unread;

    public override async ValueTask<int> ReceiveAsync(IBufferWriter<byte> writer, Action<SafeFileHandle> receive)
    {
        try
        {
            if (_unread == 0 && !await ReadStartAsync(receive).ConfigureAwait(false))
            {
                return 0;
            }

            var memory = writer.GetMemory(Math.Min(_unread, MostBytes));
            var count = await ReadAsync(memory[..Math.Min(_unread, memory.Length)]).ConfigureAwait(false);
            writer.Advance(count);
            _unread -= count;
            return count;
        }
        catch (OperationCanceledException e)
        {
            throw Disposed(e);
        }
    }

    public override async ValueTask<int> SendAsync(ReadOnlyMemory<byte> bytes, FileChunk? files)
    {
        bytes = bytes[..Math.Min(bytes.Length, MostBytes)];
        var numbers = new List<long>(files?.Count ?? 0);
        var packet = ArrayPool<byte>.Shared.Rent(HeaderBytes + (numbers.Capacity * NumberBytes) + bytes.Length);
        try
        {
            foreach (var file in files?.Files ?? [])
            {
                numbers.Add(Handles.Give(file));
            }

            await stream.WriteAsync(Fill(packet, numbers, bytes.Span)).ConfigureAwait(false);
            return bytes.Length;
        }
        catch (Exception e)
        {
            // Not a byte of it arrives where the call fails: the packet is one write.
            numbers.ForEach(number => Handles.TakeBack(number));
            throw e is OperationCanceledException cancelled ? Disposed(cancelled) : e;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(packet);
        }
    }

    /// <summary>A named pipe has no half of an end: the other side learns it from what was sent, and closes.</summary>
    public override void EndSending()
    {
    }

    public override PoolPeer Identify()
    {
        var identity = client ?? throw new InvalidOperationException("Only a server asks who is at the other end.");
        var peer = identity.Identify();
        _handles = identity.Handles;
        return peer;
    }

    public override void Dispose()
    {
        stream.Dispose();
        client?.Dispose();
    }

    private HandlePassing Handles => _handles ?? throw new FrameException("Handles came before the client was known.");

    private static ReadOnlyMemory<byte> Fill(byte[] packet, List<long> numbers, ReadOnlySpan<byte> bytes)
    {
        BinaryPrimitives.WriteInt32LittleEndian(packet, bytes.Length);
        BinaryPrimitives.WriteInt32LittleEndian(packet.AsSpan(4), numbers.Count);
        var at = HeaderBytes;
        foreach (var number in numbers)
        {
            BinaryPrimitives.WriteInt64LittleEndian(packet.AsSpan(at), number);
            at += NumberBytes;
        }

        bytes.CopyTo(packet.AsSpan(at));
        return packet.AsMemory(0, at + bytes.Length);
    }

    /// <summary>Reads a packet up to its bytes; false at the connection's end.</summary>
    private async ValueTask<bool> ReadStartAsync(Action<SafeFileHandle> receive)
    {
        if (!await ReadAllAsync(_start).ConfigureAwait(false))
        {
            return false;
        }

        var length = BinaryPrimitives.ReadInt32LittleEndian(_start);
        var count = BinaryPrimitives.ReadInt32LittleEndian(_start.AsSpan(4));
        if (length is < 1 or > MostBytes || count is < 0 or > FrameHeader.FilesPerChunk)
        {
            throw new FrameException($"A packet announced {length} B and {count} handles.");
        }

        for (; count > 0; count--)
        {
            if (!await ReadAllAsync(_start).ConfigureAwait(false))
            {
                return false;
            }

            receive(Handles.Take(BinaryPrimitives.ReadInt64LittleEndian(_start)));
        }

        _unread = length;
        return true;
    }

    private async ValueTask<bool> ReadAllAsync(Memory<byte> bytes)
    {
        while (bytes.Length > 0 && await ReadAsync(bytes).ConfigureAwait(false) is > 0 and var count)
        {
            bytes = bytes[count..];
        }

        return bytes.Length == 0;
    }

    /// <summary>Reads what there is. No bytes are the end only where the pipe is broken: a write of none wakes its reader, too.</summary>
    private async ValueTask<int> ReadAsync(Memory<byte> bytes)
    {
        int count;
        do
        {
            count = await stream.ReadAsync(bytes).ConfigureAwait(false);
        }
        while (count == 0 && stream.IsConnected);
        return count;
    }

    /// <summary>Windows ends what is under way when its handle is closed; this end did that.</summary>
    private static ObjectDisposedException Disposed(OperationCanceledException e) => new("The connection was closed by this end.", e);
}
