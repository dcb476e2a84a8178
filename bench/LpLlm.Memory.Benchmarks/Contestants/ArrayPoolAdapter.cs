using System.Buffers;

namespace LpLlm.Memory.Benchmarks.Contestants;

/// <summary>Managed arrays: neither pinned nor aligned, and lengths rounded up to powers of two; what .NET code uses otherwise.</summary>
internal readonly struct ArrayPoolAdapter : IAdapter<ArrayBlock>
{
    public ArrayBlock Rent(long lengthBytes)
    {
        var array = ArrayPool<byte>.Shared.Rent((int)lengthBytes);
        array[0] = 1;
        return new ArrayBlock(array);
    }

    public void Return(ArrayBlock block) => ArrayPool<byte>.Shared.Return(block.Array);
}
