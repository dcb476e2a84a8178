namespace LpLlm.Memory.Models;

/// <summary>What one thread reads at a time: a range of one file. No part crosses the border of two files (F4).</summary>
/// <param name="FileIndex">Which of the model's files.</param>
/// <param name="FileOffsetBytes">First byte in the file, a multiple of <see cref="DirectFile.BlockBytes"/>.</param>
/// <param name="ModelOffsetBytes">First byte over all files one behind the other.</param>
/// <param name="LengthBytes">A multiple of <see cref="DirectFile.BlockBytes"/>, but for the last of each file.</param>
internal readonly record struct ReadPart(int FileIndex, long FileOffsetBytes, long ModelOffsetBytes, int LengthBytes);
