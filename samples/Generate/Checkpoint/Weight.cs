namespace LpLlm.Memory.Samples.Generate.Checkpoint;

/// <summary>A bfloat16 tensor of an open model: a view of the store's memory, not a copy.</summary>
internal sealed class Weight(ModelHandle model, string name, nint[] shape)
{
    public ReadOnlySpan<nint> Shape => shape;

    /// <exception cref="ObjectDisposedException">The model was closed.</exception>
    public ReadOnlySpan<BFloat16> AsSpan()
    {
        var tensor = model.GetTensor<BFloat16>(name);
        return tensor.GetSpan(new nint[tensor.Rank], (int)tensor.FlattenedLength);
    }
}
