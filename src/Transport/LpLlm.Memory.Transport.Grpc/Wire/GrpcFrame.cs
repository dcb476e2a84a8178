using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;

namespace LpLlm.Memory.Transport.Grpc.Wire;

/// <summary>A message of a gRPC stream: one byte that tells whether it is compressed, four of its length (big-endian), its bytes.</summary>
internal static class GrpcFrame
{
    public const int HeaderLength = 5;

    /// <summary>Takes a message off the front of a buffer, once all of it is there. Judges it by its header, before the rest arrives.</summary>
    /// <exception cref="PoolFaultException">It is compressed, or longer than allowed.</exception>
    public static bool TryRead(ref ReadOnlySequence<byte> buffer, int maxMessageBytes, out ReadOnlySequence<byte> message)
    {
        message = default;
        if (TryReadLength(buffer, maxMessageBytes) is not { } length || buffer.Length - HeaderLength < length)
        {
            return false;
        }

        message = buffer.Slice(HeaderLength, length);
        buffer = buffer.Slice(message.End);
        return true;
    }

    private static int? TryReadLength(in ReadOnlySequence<byte> buffer, int maxMessageBytes)
    {
        if (buffer.Length < HeaderLength)
        {
            return null;
        }

        Span<byte> header = stackalloc byte[HeaderLength];
        buffer.Slice(0, HeaderLength).CopyTo(header);
        if (header[0] != 0)
        {
            throw header[0] == 1
                ? new PoolFaultException(PoolFaultCode.Unimplemented, "The message is compressed; only 'identity' is supported.")
                : new PoolFaultException(PoolFaultCode.Internal, $"The message starts with {header[0]}; 0 or 1 is expected.");
        }

        // As uint: 2^32 - 1 would be -1 as an int, and pass.
        var length = BinaryPrimitives.ReadUInt32BigEndian(header[1..]);
        return length <= (uint)maxMessageBytes ? (int)length : throw TooLong(length, maxMessageBytes);
    }

    public static PoolFaultException TooLong(long lengthBytes, int maxMessageBytes) =>
        new(PoolFaultCode.ResourceExhausted, $"The message has {lengthBytes} B; {nameof(PoolTransportLimits.MaxMessageBytes)} is {maxMessageBytes}.");

    public static void WriteHeader(Span<byte> destination, int lengthBytes)
    {
        destination[0] = 0;
        BinaryPrimitives.WriteUInt32BigEndian(destination[1..], (uint)lengthBytes);
    }

    /// <summary>The next message, or null at the end of the stream.</summary>
    /// <param name="reader">The stream.</param>
    /// <param name="maxMessageBytes">Longer ones are refused.</param>
    /// <param name="announced">Gets the message's length once, before the rest arrives; throws to refuse it.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="PoolFaultException">As for <see cref="TryRead"/>, or the stream ends within a message.</exception>
    public static async ValueTask<byte[]?> ReadAsync(
        PipeReader reader, int maxMessageBytes, Action<int>? announced, CancellationToken cancellationToken)
    {
        var isAnnounced = announced is null;
        while (true)
        {
            var result = await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            var buffer = result.Buffer;
            if (!isAnnounced && TryReadLength(buffer, maxMessageBytes) is { } length)
            {
                announced!(length);
                isAnnounced = true;
            }

            if (TryRead(ref buffer, maxMessageBytes, out var message))
            {
                var bytes = message.ToArray();
                reader.AdvanceTo(buffer.Start);
                return bytes;
            }

            // All of it was looked at: the next read waits for more, and HTTP/2's window opens for it.
            reader.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted)
            {
                return buffer.IsEmpty ? null : throw new PoolFaultException(PoolFaultCode.Internal, "The stream ended within a message.");
            }
        }
    }
}
