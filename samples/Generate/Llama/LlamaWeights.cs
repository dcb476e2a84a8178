using LpLlm.Memory.Samples.Generate.Checkpoint;

namespace LpLlm.Memory.Samples.Generate.Llama;

/// <summary>All tensors of a model, as bfloat16 in pool memory, one lease each. Disposing returns the leases.</summary>
internal sealed class LlamaWeights : IDisposable
{
    private readonly List<PinnedTensor<BFloat16>> _owned = [];

    private LlamaWeights(LlamaConfig config, Func<string, nint[], PinnedTensor<BFloat16>> read)
    {
        try
        {
            Embedding = Own("model.embed_tokens.weight", config.VocabSize, config.HiddenSize);
            Layers = [.. Enumerable.Range(0, config.LayerCount).Select(layer => ReadLayer($"model.layers.{layer}"))];
            FinalNorm = Own("model.norm.weight", config.HiddenSize);
            Head = config.TieWordEmbeddings ? Embedding : Own("lm_head.weight", config.VocabSize, config.HiddenSize);
        }
        catch
        {
            Dispose();
            throw;
        }

        // In the order of the file, so that it is read from front to back.
        LayerWeights ReadLayer(string name) => new()
        {
            Query = Own($"{name}.self_attn.q_proj.weight", (nint)config.HeadCount * config.HeadDim, config.HiddenSize),
            Key = Own($"{name}.self_attn.k_proj.weight", (nint)config.KvHeadCount * config.HeadDim, config.HiddenSize),
            Value = Own($"{name}.self_attn.v_proj.weight", (nint)config.KvHeadCount * config.HeadDim, config.HiddenSize),
            Output = Own($"{name}.self_attn.o_proj.weight", config.HiddenSize, (nint)config.HeadCount * config.HeadDim),
            Gate = Own($"{name}.mlp.gate_proj.weight", config.IntermediateSize, config.HiddenSize),
            Up = Own($"{name}.mlp.up_proj.weight", config.IntermediateSize, config.HiddenSize),
            Down = Own($"{name}.mlp.down_proj.weight", config.HiddenSize, config.IntermediateSize),
            InputNorm = Own($"{name}.input_layernorm.weight", config.HiddenSize),
            PostAttentionNorm = Own($"{name}.post_attention_layernorm.weight", config.HiddenSize),
        };

        PinnedTensor<BFloat16> Own(string name, params nint[] shape)
        {
            var tensor = read(name, shape);
            _owned.Add(tensor);
            return tensor;
        }
    }

    public PinnedTensor<BFloat16> Embedding { get; }

    public IReadOnlyList<LayerWeights> Layers { get; }

    public PinnedTensor<BFloat16> FinalNorm { get; }

    /// <summary>The output projection; the embedding itself where the model ties them.</summary>
    public PinnedTensor<BFloat16> Head { get; }

    public long LengthBytes => _owned.Sum(tensor => tensor.Lease.LengthBytes);

    /// <exception cref="ModelFileException">The files do not hold the model that the configuration describes; no lease is kept.</exception>
    public static LlamaWeights Load(string directory, LlamaConfig config, IPinnedMemoryPool pool, CancellationToken cancellationToken)
    {
        using var reader = new CheckpointReader(directory);
        var weights = new LlamaWeights(config, (name, shape) => reader.Read(pool, name, cancellationToken, shape));
        try
        {
            // Older exports store the rotary frequencies, which follow from rope_theta; tied ones may name the head again.
            reader.RefuseUnread(name => name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal)
                || (config.TieWordEmbeddings && name == "lm_head.weight"));
            return weights;
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    public void Dispose() => _owned.ForEach(tensor => tensor.Dispose());
}
