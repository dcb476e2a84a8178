namespace LpLlm.Memory.Models;

/// <summary>A source that fails, after some bytes.</summary>
internal sealed class FailingStorage(long lengthBytes, long failsAtBytes, Exception failure) : TensorStorage
{
    public override long LengthBytes => lengthBytes;

    public override void Read(long offsetBytes, Span<byte> buffer)
    {
        if (offsetBytes + buffer.Length > failsAtBytes)
        {
            throw failure;
        }

        buffer.Clear();
    }
}
