namespace LpLlm.Memory.Benchmarks.Contestants;

internal static class Alignment
{
    /// <summary>What every lease of a pool has; asked of all peers that can give it.</summary>
    public const int Bytes = 256;
}
