namespace LpLlm.Memory.Benchmarks.Workloads.Running;

/// <summary>The share of the pool in use: the least at any moment looked at, and the mean of all.</summary>
internal readonly record struct Utilisation(double Least, double Average)
{
    public static Utilisation Of(UtilisationSum sum, long capacityBytes) =>
        new((double)sum.LeastBytes / capacityBytes, sum.SumBytes / sum.Moments / capacityBytes);

    /// <summary>The least of all and the mean of the means; null for none.</summary>
    public static Utilisation? Together(IReadOnlyList<Utilisation> parts) =>
        parts.Count == 0 ? null : new Utilisation(parts.Min(part => part.Least), parts.Average(part => part.Average));
}
