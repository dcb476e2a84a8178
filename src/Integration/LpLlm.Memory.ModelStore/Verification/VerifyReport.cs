namespace LpLlm.Memory.Models;

/// <summary>What a verification found.</summary>
/// <param name="Findings">Every damage, in the order of files; empty if the model is sound.</param>
/// <param name="HasChecks">Whether the contents of tensors could be checked: there is a file of checks, and it can be used.</param>
/// <param name="CheckedBytes">Bytes of data whose sums were computed.</param>
/// <param name="TensorCount">Tensors of the model, as far as that can be known.</param>
internal sealed record VerifyReport(IReadOnlyList<Finding> Findings, bool HasChecks, long CheckedBytes, int TensorCount);
