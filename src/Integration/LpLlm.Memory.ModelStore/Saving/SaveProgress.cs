namespace LpLlm.Memory.Models;

/// <summary>How far a save is.</summary>
/// <param name="DoneBytes">Handed to the disk.</param>
/// <param name="TotalBytes">Of all data files.</param>
internal readonly record struct SaveProgress(long DoneBytes, long TotalBytes);
