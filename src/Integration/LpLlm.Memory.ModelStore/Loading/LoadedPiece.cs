namespace LpLlm.Memory.Models;

/// <summary>A range of a model whose bytes are in memory.</summary>
/// <param name="OffsetBytes">First byte over all files one behind the other.</param>
/// <param name="LengthBytes">At least 1.</param>
internal readonly record struct LoadedPiece(long OffsetBytes, int LengthBytes);
