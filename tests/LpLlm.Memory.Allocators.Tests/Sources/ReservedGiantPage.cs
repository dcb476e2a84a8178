namespace LpLlm.Memory.Tests.Sources;

/// <summary>One page of 1 GiB.</summary>
public sealed class ReservedGiantPage() : ReservedHugePages(1L << 30, 1);
