namespace LpLlm.Memory.Benchmarks.Workloads.Scripts;

/// <summary>What one thread does to one pool, decided beforehand: every contestant gets the same.</summary>
internal sealed record Script(long CapacityBytes, IReadOnlyList<Phase> Phases)
{
    public int AlignmentBytes { get; init; } = Contestants.Alignment.Bytes;

    /// <summary>The share of the live blocks, one at least, that an allocation without room frees before it tries again.</summary>
    public double EvictedShare { get; init; }

    public UtilisationMoment Utilisation { get; init; }

    /// <summary>The most blocks that can be live, were there always room.</summary>
    public int MostLiveBlocks
    {
        get
        {
            int live = 0, most = 0;
            foreach (var step in Phases.SelectMany(phase => phase.Steps))
            {
                live += step.Kind switch { StepKind.Allocate => 1, StepKind.Free => -1, _ => 0 };
                most = Math.Max(most, live);
            }

            return most;
        }
    }
}
