namespace LpLlm.Memory.Benchmarks;

/// <summary>How much a run measures.</summary>
internal sealed record RunLength
{
    /// <summary>Minutes in all. 21 rounds: enough for a median that a neighbour's burst of a few seconds does not move.</summary>
    public static RunLength Full { get; } = new();

    /// <summary>Seconds in all, little memory: for continuous integration.</summary>
    public static RunLength Quick { get; } = new()
    {
        IsQuick = true,
        Rounds = 3,
        WarmUpRounds = 1,
        BatchesPerThread = 20,
        ManyHoles = 4096,
        BatchesPerHoleField = 20,
        PoolBytes = [64L << 20],
        PoolRounds = 2,
        LeaseBytes = [64L << 20],
        OpenBytes = [16L << 20, 64L << 20],
        ClientProcesses = [1, 2],
        ProcessRounds = 1,
        ModelBytes = 64L << 20,
        LoadRounds = 2,
        WorkloadRounds = 1,
        Scale = 50,
    };

    public bool IsQuick { get; private init; }

    public int Rounds { get; private init; } = 21;

    /// <summary>Rounds that are not counted: the JIT's tiers and the allocators' caches settle in them.</summary>
    public int WarmUpRounds { get; private init; } = 3;

    /// <summary>Batches of <see cref="BatchOperations"/> in a round of one thread.</summary>
    public int BatchesPerThread { get; private init; } = 400;

    public int FewHoles { get; } = 64;

    public int ManyHoles { get; private init; } = 65_536;

    public int BatchesPerHoleField { get; private init; } = 200;

    public IReadOnlyList<long> PoolBytes { get; private init; } = [1L << 30, 4L << 30];

    public int PoolRounds { get; private init; } = 7;

    public IReadOnlyList<long> LeaseBytes { get; private init; } = [1L << 30, 4L << 30, 8L << 30];

    /// <summary>Lengths of models that are opened.</summary>
    public IReadOnlyList<long> OpenBytes { get; private init; } = [64L << 20, 256L << 20, 1L << 30, 4L << 30];

    public IReadOnlyList<int> ClientProcesses { get; private init; } = [1, 2, 4, 8];

    /// <summary>Rounds of the processes: starting them takes longer than what they measure. Even, so that each kind comes first as often.</summary>
    public int ProcessRounds { get; private init; } = 10;

    /// <summary>Length of the model that is loaded: seconds of a fast disk, and more than its own cache.</summary>
    public long ModelBytes { get; private init; } = 2L << 30;

    public int LoadRounds { get; private init; } = 5;

    /// <summary>Rounds of each workload; fewer than elsewhere, because one is up to a million steps.</summary>
    public int WorkloadRounds { get; private init; } = 7;

    /// <summary>What the workloads' counts are divided by.</summary>
    public int Scale { get; private init; } = 1;

    public int Scaled(int count) => count / Scale;

    /// <summary>Operations in one call of a measured loop; calls must be many, or the JIT never replaces the loop's first code.</summary>
    public const int BatchOperations = 1000;
}
