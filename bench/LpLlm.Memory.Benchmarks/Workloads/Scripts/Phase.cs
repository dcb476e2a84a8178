namespace LpLlm.Memory.Benchmarks.Workloads.Scripts;

/// <param name="Name">For the table; null when the phase only prepares and is not measured.</param>
/// <param name="Steps">What is done, in this order.</param>
internal sealed record Phase(string? Name, Step[] Steps)
{
    public bool IsMeasured => Name is not null;
}
