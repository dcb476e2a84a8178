namespace LpLlm.Memory.Models;

/// <summary>One data file and the range it holds of the data.</summary>
/// <param name="Path">The file.</param>
/// <param name="OffsetBytes">Where it begins, counted over all data files one behind the other.</param>
/// <param name="LengthBytes">Its length; may be 0.</param>
internal sealed record Partition(string Path, long OffsetBytes, long LengthBytes)
{
    public long EndBytes => OffsetBytes + LengthBytes;
}
