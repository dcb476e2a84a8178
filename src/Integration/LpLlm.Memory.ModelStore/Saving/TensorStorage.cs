namespace LpLlm.Memory.Models;

/// <summary>The bytes that one tensor, or several that share them, are stored in. Tensors share what is the same object.</summary>
internal abstract class TensorStorage
{
    /// <summary>Its bytes; may be 0.</summary>
    public abstract long LengthBytes { get; }

    /// <summary>Reads exactly the buffer's length from an offset on.</summary>
    /// <exception cref="IOException">The source cannot be read.</exception>
    public abstract void Read(long offsetBytes, Span<byte> buffer);
}
