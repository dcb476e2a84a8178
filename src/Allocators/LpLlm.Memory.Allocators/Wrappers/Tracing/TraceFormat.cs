namespace LpLlm.Memory.Wrappers.Tracing;

/// <summary>The trace as text: comma-separated values with a header, invariant, one event a line that ends in a line feed.</summary>
/// <remarks>
/// <c>sequence</c> counts from 1 without a gap; a gap is a loss. <c>time_ns</c> is since the trace began. <c>thread</c> is the managed
/// thread. <c>op</c> is rent, rent_async (a RentAsync that was served), fail (no room, or a wait given up), return, return_after (behind a fence)
/// or end, the last line of a trace that was closed. <c>lease</c> numbers leases from 1; it is empty for fail and end.
/// <c>alignment_bytes</c> is filled for rents and failures.
/// </remarks>
internal static class TraceFormat
{
    /// <summary>The longest line: three 19-digit numbers, two of 10, the lease's 19, the operation and the commas.</summary>
    public const int MaxLineBytes = 160;

    private static readonly byte[][] Operations =
        ["rent"u8.ToArray(), "rent_async"u8.ToArray(), "fail"u8.ToArray(), "return"u8.ToArray(), "return_after"u8.ToArray(), "end"u8.ToArray()];

    public static ReadOnlySpan<byte> Header => "sequence,time_ns,thread,op,lease,length_bytes,alignment_bytes\n"u8;

    /// <summary>Writes one line, for which there must be <see cref="MaxLineBytes"/>, and answers its length.</summary>
    public static int Write(Span<byte> line, long sequence, long nanoseconds, in TraceRecord record, long? lease)
    {
        var length = 0;
        Append(line, ref length, sequence, (byte)',');
        Append(line, ref length, nanoseconds, (byte)',');
        Append(line, ref length, record.ThreadId, (byte)',');
        var name = Operations[(int)record.Operation];
        name.CopyTo(line[length..]);
        length += name.Length;
        line[length++] = (byte)',';
        Append(line, ref length, lease, (byte)',');
        Append(line, ref length, record.LengthBytes > 0 ? record.LengthBytes : null, (byte)',');
        Append(line, ref length, record.AlignmentBytes > 0 ? record.AlignmentBytes : null, (byte)'\n');
        return length;
    }

    private static void Append(Span<byte> line, ref int length, long? value, byte terminator)
    {
        if (value is { } number)
        {
            number.TryFormat(line[length..], out var digits, default, System.Globalization.CultureInfo.InvariantCulture);
            length += digits;
        }

        line[length++] = terminator;
    }
}
