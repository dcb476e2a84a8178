namespace LpLlm.Memory;

/// <summary>Marks a registered pool as a hybrid one, so that chains can be followed before any pool exists.</summary>
internal sealed record HybridRegistration(string Name);
