namespace LpLlm.Memory.Models;

/// <summary>A storage and where it comes to lie.</summary>
/// <param name="Storage">Its bytes; at least 1.</param>
/// <param name="OffsetBytes">First byte, counted over all data files.</param>
internal sealed record PlannedRecord(TensorStorage Storage, long OffsetBytes)
{
    /// <summary>Bytes in the file, with the zeros behind.</summary>
    public long PaddedBytes => RecordCheck.Pad(Storage.LengthBytes);
}
