namespace LpLlm.Memory.Models;

/// <summary>A stored range of bytes and its sum. Between it and the next lie zeros, up to a multiple of <see cref="AlignmentBytes"/>.</summary>
/// <param name="OffsetBytes">First byte, counted over all data files.</param>
/// <param name="LengthBytes">Its bytes without the zeros behind; at least 1.</param>
/// <param name="Checksum">CRC-32C of its bytes.</param>
internal sealed record RecordCheck(long OffsetBytes, long LengthBytes, uint Checksum)
{
    public const int AlignmentBytes = 8;

    public long EndBytes => OffsetBytes + LengthBytes;

    /// <summary>Where the next record begins.</summary>
    public long PaddedEndBytes => Pad(EndBytes);

    public static long Pad(long bytes) => (bytes + AlignmentBytes - 1) & -AlignmentBytes;
}
