using System.Buffers.Binary;
using System.Security.Cryptography;

namespace LpLlm.Memory.Transport;

/// <summary>128 random bits that nobody can guess: of a session, a lease, a request, or a start of the server.</summary>
internal readonly record struct Token(ulong High, ulong Low)
{
    public const int LengthBytes = 16;

    public bool IsEmpty => (High | Low) == 0;

    public static Token Create()
    {
        Span<byte> bytes = stackalloc byte[LengthBytes];
        RandomNumberGenerator.Fill(bytes);
        return FromBytes(bytes);
    }

    /// <summary>Whether the bytes are a token; all zeros are none.</summary>
    public static bool TryParse(ReadOnlySpan<byte> bytes, out Token token)
    {
        token = bytes.Length == LengthBytes ? FromBytes(bytes) : default;
        return !token.IsEmpty;
    }

    public byte[] ToBytes()
    {
        var bytes = new byte[LengthBytes];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, High);
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(8), Low);
        return bytes;
    }

    /// <summary>Never the secret itself: enough to tell two apart in a log.</summary>
    public override string ToString() => Convert.ToHexStringLower(SHA256.HashData(ToBytes()).AsSpan(0, 4));

    private static Token FromBytes(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));
}
