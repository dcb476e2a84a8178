namespace LpLlm.Memory.Attention;

/// <summary>One sequence of a batch and how many new tokens it brings.</summary>
/// <param name="Sequence">A sequence of the manager that gets the request.</param>
/// <param name="TokenCount">New tokens, at least 1: many in a prefill, one in a decode step.</param>
public readonly record struct AttnRow(IKvSequence Sequence, int TokenCount);
