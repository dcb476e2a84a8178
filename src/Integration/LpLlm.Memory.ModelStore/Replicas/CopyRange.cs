namespace LpLlm.Memory.Models;

/// <summary>A range of a model and where its first byte goes.</summary>
internal readonly record struct CopyRange(long SourceOffset, nint Target, long LengthBytes)
{
    public long SourceEnd => SourceOffset + LengthBytes;
}
