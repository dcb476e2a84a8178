using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Workloads.Running;

namespace LpLlm.Memory.Benchmarks.Workloads;

/// <summary>A row's figures, of one round or the medians of all.</summary>
internal sealed record PhaseFigures(
    double Nanoseconds, double P50, double P99, double P999, double GarbageBytes, Utilisation? Utilisation, double Failures)
{
    public static PhaseFigures Of(PhaseSample sample, Clock clock)
    {
        Array.Sort(sample.Ticks);
        return new PhaseFigures(
            sample.Nanoseconds,
            clock.NetPercentile(sample.Ticks, 0.5),
            clock.NetPercentile(sample.Ticks, 0.99),
            clock.NetPercentile(sample.Ticks, 0.999),
            sample.GarbageBytes,
            sample.Utilisation,
            sample.Failures);
    }

    public static PhaseFigures MedianOf(IReadOnlyList<PhaseFigures> rounds)
    {
        return new PhaseFigures(
            Median(round => round.Nanoseconds),
            Median(round => round.P50),
            Median(round => round.P99),
            Median(round => round.P999),
            Median(round => round.GarbageBytes),
            rounds.All(round => round.Utilisation is not null)
                ? new Utilisation(rounds.Min(round => round.Utilisation!.Value.Least), Median(round => round.Utilisation!.Value.Average))
                : null,
            rounds.Max(round => round.Failures));

        double Median(Func<PhaseFigures, double> figure) => Medians.Median(rounds.Select(figure));
    }
}
