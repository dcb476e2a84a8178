using System.Buffers.Binary;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>The first 8 bytes from either end: who speaks (5), which version (2), and from a server whether the client is welcome (1).</summary>
internal static class Preface
{
    public const int LengthBytes = 8;
    public const ushort Version = 1;

    private static ReadOnlySpan<byte> Magic => "LPOOL"u8;

    public static byte[] Create(bool refused = false)
    {
        var bytes = new byte[LengthBytes];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(5), Version);
        bytes[7] = refused ? (byte)1 : (byte)0;
        return bytes;
    }

    /// <summary>Whether the start of a preface can still become one, so that garbage is told at its first byte.</summary>
    /// <exception cref="FrameException">It cannot.</exception>
    public static void Check(ReadOnlySpan<byte> start)
    {
        var known = Math.Min(start.Length, Magic.Length);
        if (!start[..known].SequenceEqual(Magic[..known]))
        {
            throw new FrameException("The other end does not speak this protocol: it is no pool server or client of this library.");
        }

        if (start.Length >= 7 && BinaryPrimitives.ReadUInt16LittleEndian(start[5..]) is var version && version != Version)
        {
            throw new FrameException($"The other end speaks version {version} of this protocol, this end version {Version}: use the same release on both.");
        }
    }

    /// <summary>Whether the server refuses: a fault follows.</summary>
    public static bool IsRefusal(ReadOnlySpan<byte> preface) => preface[7] != 0;
}
