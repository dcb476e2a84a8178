using System.Buffers;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>The 24 bytes with which every HTTP/2 client starts.</summary>
internal static class Http2Preface
{
    private static ReadOnlySpan<byte> Expected => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8;

    /// <summary>Whether the bytes start with it; null as long as too few have come to tell.</summary>
    public static bool? Match(ReadOnlySequence<byte> buffer)
    {
        Span<byte> start = stackalloc byte[Expected.Length];
        var length = (int)Math.Min(buffer.Length, start.Length);
        buffer.Slice(0, length).CopyTo(start);
        return !Expected.StartsWith(start[..length]) ? false : length == Expected.Length ? true : null;
    }
}
