namespace LpLlm.Memory.Benchmarks.Workloads.Scripts;

/// <summary>When the share of the pool that is in use, in bytes as requested, is looked at.</summary>
internal enum UtilisationMoment
{
    /// <summary>Never: the workload does not fill its pool.</summary>
    None,

    AfterAllocations,

    /// <summary>Each time that an allocation finds no room.</summary>
    AtFailures,
}
