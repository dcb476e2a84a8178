namespace LpLlm.Memory.Models;

/// <summary>A contiguous part of a model's memory.</summary>
internal readonly record struct MemoryExtent(nint Address, long LengthBytes);
