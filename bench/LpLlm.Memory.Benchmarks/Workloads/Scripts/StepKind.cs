namespace LpLlm.Memory.Benchmarks.Workloads.Scripts;

internal enum StepKind
{
    /// <summary>Allocate; while there is no room, free some and try again.</summary>
    Allocate,

    /// <summary>Free one of the live blocks.</summary>
    Free,

    /// <summary>Free one of the live blocks, then allocate.</summary>
    Replace,
}
