namespace LpLlm.Memory.Attention;

/// <summary>A checked row of a request.</summary>
/// <param name="Sequence">A sequence of this manager.</param>
/// <param name="FirstToken">Where the row's tokens begin in the tensors.</param>
/// <param name="TokenCount">New tokens.</param>
internal readonly record struct AttnJobRow(KvSequence Sequence, int FirstToken, int TokenCount);
