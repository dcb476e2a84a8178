namespace LpLlm.Memory.Attention;

/// <summary>Elements on the host and how they are stored.</summary>
/// <param name="Address">The first; 0 for none.</param>
/// <param name="Type">Their type.</param>
internal readonly unsafe record struct TypedPointer(nint Address, KvElementType Type)
{
    /// <summary>Elements as float32: where they lie if they are, else converted into <paramref name="scratch"/>.</summary>
    public float* Load(nint first, int count, float* scratch) => KvCodec.Decode(At(first), count, Type, scratch);

    public void Store(nint first, int count, float* source) => KvCodec.Encode(source, At(first), count, Type);

    private byte* At(nint element) => (byte*)Address + element * KvCodec.BytesOf(Type);
}
