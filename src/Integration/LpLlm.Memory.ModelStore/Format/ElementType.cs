using System.Collections.Frozen;

namespace LpLlm.Memory.Models;

/// <summary>An element type that torch stores: its names and its size.</summary>
/// <param name="Torch">As the index writes it, for example <c>torch.bfloat16</c>.</param>
/// <param name="Safetensors">As safetensors writes it, for example <c>BF16</c>; null if it has none.</param>
/// <param name="SizeBytes">Bytes of an element.</param>
internal sealed record ElementType(string Torch, string? Safetensors, int SizeBytes)
{
    // Types of less than a byte (F4, F6) are left out: torch and safetensors count their shapes differently.
    public static readonly IReadOnlyList<ElementType> All =
    [
        new("torch.bool", "BOOL", 1),
        new("torch.uint8", "U8", 1),
        new("torch.int8", "I8", 1),
        new("torch.uint16", "U16", 2),
        new("torch.int16", "I16", 2),
        new("torch.uint32", "U32", 4),
        new("torch.int32", "I32", 4),
        new("torch.uint64", "U64", 8),
        new("torch.int64", "I64", 8),
        new("torch.float8_e4m3fn", "F8_E4M3", 1),
        new("torch.float8_e5m2", "F8_E5M2", 1),
        new("torch.float8_e4m3fnuz", "F8_E4M3FNUZ", 1),
        new("torch.float8_e5m2fnuz", "F8_E5M2FNUZ", 1),
        new("torch.float8_e8m0fnu", "F8_E8M0", 1),
        new("torch.float16", "F16", 2),
        new("torch.bfloat16", "BF16", 2),
        new("torch.float32", "F32", 4),
        new("torch.float64", "F64", 8),
        new("torch.complex32", null, 4),
        new("torch.complex64", "C64", 8),
        new("torch.complex128", null, 16),
    ];

    private static readonly FrozenDictionary<string, ElementType> ByTorch = All.ToFrozenDictionary(type => type.Torch, StringComparer.Ordinal);

    private static readonly FrozenDictionary<string, ElementType> BySafetensors = All
        .Where(type => type.Safetensors is not null)
        .ToFrozenDictionary(type => type.Safetensors!, StringComparer.Ordinal);

    /// <returns>Null where there is none of that name.</returns>
    public static ElementType? FindTorch(string name) => ByTorch.GetValueOrDefault(name);

    /// <returns>Null where there is none of that name.</returns>
    public static ElementType? FindSafetensors(string name) => BySafetensors.GetValueOrDefault(name);
}
