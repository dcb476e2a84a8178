namespace LpLlm.Memory.Models;

/// <summary>A storage that lies in memory.</summary>
internal sealed class MemoryStorage(ReadOnlyMemory<byte> bytes) : TensorStorage
{
    public override long LengthBytes => bytes.Length;

    public override void Read(long offsetBytes, Span<byte> buffer) => bytes.Span.Slice((int)offsetBytes, buffer.Length).CopyTo(buffer);
}
