namespace LpLlm.Memory.Models;

/// <summary>A small file that is saved beside the tensors.</summary>
internal sealed record CompanionFile(string Name, ReadOnlyMemory<byte> Content);
