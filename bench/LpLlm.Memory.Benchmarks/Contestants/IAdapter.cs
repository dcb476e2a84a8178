namespace LpLlm.Memory.Benchmarks.Contestants;

/// <summary>One way to get memory. Implemented by structs, so that measured loops are compiled per adapter, without boxes or virtual calls.</summary>
/// <typeparam name="TBlock">What is kept to give the block back; a struct, or all references would share one slower loop.</typeparam>
internal interface IAdapter<TBlock>
    where TBlock : struct
{
    /// <summary>Takes a block and writes its first byte.</summary>
    TBlock Rent(long lengthBytes);

    void Return(TBlock block);
}
