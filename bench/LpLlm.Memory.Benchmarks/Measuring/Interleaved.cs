namespace LpLlm.Memory.Benchmarks.Measuring;

/// <summary>Measures contestants in turn, round by round, so that a burst of noise meets all alike.</summary>
internal static class Interleaved
{
    /// <returns>For each contestant its results, one a round, in the order of rounds.</returns>
    public static T[][] Measure<T>(IReadOnlyList<Func<T>> contestants, int warmUpRounds, int rounds)
    {
        var results = contestants.Select(_ => new T[rounds]).ToArray();
        for (var round = -warmUpRounds; round < rounds; round++)
        {
            for (var turn = 0; turn < contestants.Count; turn++)
            {
                // Whoever comes after the same neighbour every time inherits its caches; so the order moves on.
                var contestant = (turn + round + warmUpRounds) % contestants.Count;
                var result = contestants[contestant]();
                if (round >= 0)
                {
                    results[contestant][round] = result;
                }
            }
        }

        return results;
    }
}
