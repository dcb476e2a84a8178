using System.Globalization;

namespace LpLlm.Memory.Models;

/// <summary>
/// The order in which a model's state lists its tensors. Safetensors files have lost it (they are sorted by name), but the original saves in it, so
/// a file equals the original's only in this order. Every order is read alike.
/// </summary>
/// <remarks>
/// Modules are numbered or known by name: below are those of Llama and its relatives as their classes declare them. Others come behind, in the
/// order in which the file has them.
/// </remarks>
internal static class StateOrder
{
    private const long ClassStep = 1L << 40;

    private static readonly Dictionary<string, int> Known = new[]
    {
        "weight", "bias", // a module's own before its children's
        "model", "transformer", "embed_tokens", "layers", // a decoder
        "self_attn", "q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm",
        "mlp", "block_sparse_moe", "gate", "experts", "shared_expert", "shared_expert_gate", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3",
        "input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm",
        "norm", "lm_head",
    }.Select((name, rank) => (name, rank)).ToDictionary(pair => pair.name, pair => pair.rank, StringComparer.Ordinal);

    public static IReadOnlyList<T> Sort<T>(IReadOnlyList<T> tensors, Func<T, string> nameOf)
    {
        var firstSeen = new Dictionary<string, long>(StringComparer.Ordinal);
        var keys = tensors.Select(tensor => KeyOf(nameOf(tensor), firstSeen)).ToArray();
        return [.. Enumerable.Range(0, tensors.Count).Order(Comparer<int>.Create((a, b) => Compare(keys[a], keys[b]))).Select(i => tensors[i])];
    }

    private static long[] KeyOf(string name, Dictionary<string, long> firstSeen)
    {
        var parts = name.Split('.');
        var key = new long[parts.Length];
        for (var i = 0; i < parts.Length; i++)
        {
            var module = string.Join('.', parts[..(i + 1)]);
            firstSeen.TryAdd(module, firstSeen.Count);

            // A module's own tensors, then its children: numbered, known, others.
            var place = int.TryParse(parts[i], NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
                : Known.TryGetValue(parts[i], out var rank) ? ClassStep + rank
                : (2 * ClassStep) + firstSeen[module];
            key[i] = place + (i < parts.Length - 1 ? 4 * ClassStep : 0);
        }

        return key;
    }

    private static int Compare(long[] a, long[] b) => a.AsSpan().SequenceCompareTo(b);
}
