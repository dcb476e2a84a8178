namespace LpLlm.Memory;

/// <summary>Sizes of torch's element types, so that a view of the wrong type is refused instead of read.</summary>
internal static class ElementSize
{
    /// <returns>Bytes of an element; 0 for a type that is not known.</returns>
    public static int Of(string elementType) => elementType switch
    {
        "torch.bool" or "torch.uint8" or "torch.int8" => 1,
        _ when elementType.StartsWith("torch.float8_", StringComparison.Ordinal) => 1,
        "torch.uint16" or "torch.int16" or "torch.float16" or "torch.bfloat16" => 2,
        "torch.uint32" or "torch.int32" or "torch.float32" or "torch.complex32" => 4,
        "torch.uint64" or "torch.int64" or "torch.float64" or "torch.complex64" => 8,
        "torch.complex128" => 16,
        _ => 0,
    };
}
