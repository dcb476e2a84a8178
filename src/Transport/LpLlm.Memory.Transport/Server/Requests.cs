using Google.Protobuf;

namespace LpLlm.Memory.Transport.Server;

/// <summary>Checks the fields of requests. Each names the field, its value and what it must be.</summary>
internal static class Requests
{
    /// <summary>So that rounding up and adding lengths cannot overflow, whatever comes: 4 EiB.</summary>
    private const long MaxLengthBytes = 1L << 62;

    private const int MaxModelLength = 1024;

    public static Token Token(ByteString bytes, string field) =>
        Transport.Token.TryParse(bytes.Span, out var token)
            ? token
            : throw FaultCodec.Invalid($"{field} has {bytes.Length} bytes or only zeros: it must have 16 random ones.");

    public static long Length(long lengthBytes) =>
        lengthBytes is >= 1 and <= MaxLengthBytes
            ? lengthBytes
            : throw FaultCodec.Invalid($"length_bytes is {lengthBytes}: it must be from 1 to {MaxLengthBytes}.");

    public static void SegmentLength(long lengthBytes)
    {
        if (lengthBytes is < PoolProtocol.UnitBytes or > MaxLengthBytes || lengthBytes % PoolProtocol.UnitBytes != 0)
        {
            throw FaultCodec.Invalid($"A segment length is {lengthBytes}: it must be a multiple of {PoolProtocol.UnitBytes}, at most {MaxLengthBytes}.");
        }
    }

    public static RentPriority Priority(int priority) =>
        priority is >= -1 and <= 1
            ? (RentPriority)priority
            : throw FaultCodec.Invalid($"priority is {priority}: it must be -1 (low), 0 (normal) or 1 (high).");

    /// <summary>At most the longest wait there is: who would wait longer is not wrong, and may ask again.</summary>
    public static TimeSpan Wait(long milliseconds, TimeSpan longest) =>
        milliseconds < 0 ? throw FaultCodec.Invalid($"timeout_ms is {milliseconds}: it must not be negative.")
            : milliseconds < longest.TotalMilliseconds ? TimeSpan.FromMilliseconds(milliseconds)
            : longest;

    public static string Text(string text, string field) =>
        text.Length <= PoolProtocol.MaxTextLength && !text.Any(char.IsControl)
            ? text
            : throw FaultCodec.Invalid(
                $"{field} has {text.Length} characters: it must have at most {PoolProtocol.MaxTextLength}, without control characters.");

    /// <summary>Long enough for a path, too short to fill a log. What a path must be beyond that the store says.</summary>
    public static string Model(string path) =>
        path.Length <= MaxModelLength
            ? path
            : throw FaultCodec.Invalid($"model has {path.Length} characters: it must have at most {MaxModelLength}.");

    public static void Count(int count, string field, int most)
    {
        if (count < 1 || count > most)
        {
            throw FaultCodec.Invalid($"{field} has {count} entries: it must have from 1 to {most}.");
        }
    }
}
