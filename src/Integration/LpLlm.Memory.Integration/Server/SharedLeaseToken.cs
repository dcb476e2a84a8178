using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using LpLlm.Memory.Transport;

namespace LpLlm.Memory.Server;

/// <summary>
/// What opens a shared lease: the server's token, and the length that was rented, which the server does not know, since it counts in 2 MiB. As text it is
/// a secret, so <see cref="object.ToString"/> does not tell it.
/// </summary>
internal sealed class SharedLeaseToken(Token lease, long lengthBytes)
{
    private const int BytesLength = Transport.Token.LengthBytes + sizeof(long);

    public Token Lease { get; } = lease;

    public long LengthBytes { get; } = lengthBytes;

    public static bool TryParse(string text, [NotNullWhen(true)] out SharedLeaseToken? token)
    {
        token = null;
        Span<byte> bytes = stackalloc byte[BytesLength];
        if (text.Length != 2 * BytesLength || Convert.FromHexString(text, bytes, out _, out _) != OperationStatus.Done)
        {
            return false;
        }

        var lengthBytes = BinaryPrimitives.ReadInt64BigEndian(bytes[Transport.Token.LengthBytes..]);
        if (lengthBytes < 1 || !Transport.Token.TryParse(bytes[..Transport.Token.LengthBytes], out var lease))
        {
            return false;
        }

        token = new SharedLeaseToken(lease, lengthBytes);
        return true;
    }

    public string Format()
    {
        Span<byte> bytes = stackalloc byte[BytesLength];
        Lease.ToBytes().CopyTo(bytes);
        BinaryPrimitives.WriteInt64BigEndian(bytes[Transport.Token.LengthBytes..], LengthBytes);
        return Convert.ToHexStringLower(bytes);
    }
}
