namespace LpLlm.Memory.Benchmarks.Measuring;

internal static class Medians
{
    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    /// <summary>The median of the ratios of each round, in which noise that lasts for a round cancels out.</summary>
    public static double MedianRatio(IEnumerable<double> values, IEnumerable<double> baseline) =>
        Median(values.Zip(baseline, (value, reference) => value / reference));
}
