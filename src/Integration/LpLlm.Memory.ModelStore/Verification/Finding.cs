namespace LpLlm.Memory.Models;

/// <summary>One damage.</summary>
/// <param name="Path">The file.</param>
/// <param name="Problem">What is wrong: offset, tensor, what is expected and what is there.</param>
/// <param name="Repair">How it can be undone.</param>
/// <param name="OffsetBytes">First byte of what is damaged in the file, where that is known.</param>
/// <param name="LengthBytes">Its bytes.</param>
internal sealed record Finding(string Path, string Problem, RepairKind Repair = RepairKind.None, long OffsetBytes = 0, long LengthBytes = 0)
{
    public override string ToString() => $"{Path}: {Problem}";
}
