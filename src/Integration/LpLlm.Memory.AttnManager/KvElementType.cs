namespace LpLlm.Memory.Attention;

/// <summary>Storage type of keys and values.</summary>
public enum KvElementType
{
    /// <summary>IEEE single precision, 4 bytes.</summary>
    Float32,

    /// <summary>IEEE half precision, 2 bytes.</summary>
    Float16,

    /// <summary>bfloat16, 2 bytes.</summary>
    BFloat16,
}
