namespace LpLlm.Memory.Models;

/// <summary>A tensor of a safetensors file: row-major, its bytes its own.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its elements.</param>
/// <param name="Shape">Lengths of the dimensions, outermost first.</param>
/// <param name="OffsetBytes">First byte in the file.</param>
/// <param name="LengthBytes">Its bytes.</param>
internal sealed record SafetensorsEntry(string Name, ElementType Type, IReadOnlyList<long> Shape, long OffsetBytes, long LengthBytes);
