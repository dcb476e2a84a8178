using LpLlm.Memory.Samples.Generate.Checkpoint;

namespace LpLlm.Memory.Samples.Generate.Llama;

/// <summary>All tensors of a model, as bfloat16 where the model store has them. Disposing closes the model.</summary>
internal sealed class LlamaWeights : IDisposable
{
    private readonly ModelHandle _model;

    private LlamaWeights(LlamaConfig config, ModelHandle model, WeightIndex index)
    {
        _model = model;
        Embedding = index.Find("model.embed_tokens.weight", config.VocabSize, config.HiddenSize);
        Layers = [.. Enumerable.Range(0, config.LayerCount).Select(layer => FindLayer($"model.layers.{layer}"))];
        FinalNorm = index.Find("model.norm.weight", config.HiddenSize);
        Head = config.TieWordEmbeddings ? Embedding : index.Find("lm_head.weight", config.VocabSize, config.HiddenSize);

        // Older exports store the rotary frequencies, which follow from rope_theta; tied ones may name the head again.
        index.RefuseOthers(name => name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal)
            || (config.TieWordEmbeddings && name == "lm_head.weight"));

        LayerWeights FindLayer(string name) => new()
        {
            Query = index.Find($"{name}.self_attn.q_proj.weight", (nint)config.HeadCount * config.HeadDim, config.HiddenSize),
            Key = index.Find($"{name}.self_attn.k_proj.weight", (nint)config.KvHeadCount * config.HeadDim, config.HiddenSize),
            Value = index.Find($"{name}.self_attn.v_proj.weight", (nint)config.KvHeadCount * config.HeadDim, config.HiddenSize),
            Output = index.Find($"{name}.self_attn.o_proj.weight", config.HiddenSize, (nint)config.HeadCount * config.HeadDim),
            Gate = index.Find($"{name}.mlp.gate_proj.weight", config.IntermediateSize, config.HiddenSize),
            Up = index.Find($"{name}.mlp.up_proj.weight", config.IntermediateSize, config.HiddenSize),
            Down = index.Find($"{name}.mlp.down_proj.weight", config.HiddenSize, config.IntermediateSize),
            InputNorm = index.Find($"{name}.input_layernorm.weight", config.HiddenSize),
            PostAttentionNorm = index.Find($"{name}.post_attention_layernorm.weight", config.HiddenSize),
        };
    }

    public Weight Embedding { get; }

    public IReadOnlyList<LayerWeights> Layers { get; }

    public Weight FinalNorm { get; }

    /// <summary>The output projection; the embedding itself where the model ties them.</summary>
    public Weight Head { get; }

    public long LengthBytes => _model.LengthBytes;

    /// <param name="folder">The model's folder; its name is the model's in the store.</param>
    /// <param name="config">What the model must have.</param>
    /// <param name="store">Has the model, or loads it.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="ModelFileException">The files do not hold the model that the configuration describes; the model is closed.</exception>
    /// <exception cref="ModelStoreException">The store cannot have the model.</exception>
    public static async Task<LlamaWeights> OpenAsync(string folder, LlamaConfig config, IModelStore store, CancellationToken cancellationToken)
    {
        var model = await store.OpenAsync(Path.GetFileName(folder), cancellationToken);
        try
        {
            return new LlamaWeights(config, model, new WeightIndex(model, Path.Combine(folder, "tensor_index.json")));
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    public void Dispose() => _model.Dispose();
}
