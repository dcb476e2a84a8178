namespace LpLlm.Memory.Benchmarks.Workloads.Running;

/// <summary>Requested bytes in use, summed over the moments at which they were looked at.</summary>
internal readonly record struct UtilisationSum(long Moments, double SumBytes, long LeastBytes)
{
    public UtilisationSum Plus(long usedBytes) =>
        new(Moments + 1, SumBytes + usedBytes, Moments == 0 ? usedBytes : Math.Min(LeastBytes, usedBytes));
}
