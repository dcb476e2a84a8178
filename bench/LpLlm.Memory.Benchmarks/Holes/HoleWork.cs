namespace LpLlm.Memory.Benchmarks.Holes;

/// <summary>What is done to a heap full of holes.</summary>
/// <param name="Name">For the table.</param>
/// <param name="Run">Does it that many times.</param>
internal sealed record HoleWork(string Name, Action<HoleField, int> Run)
{
    public static IReadOnlyList<HoleWork> All { get; } =
    [
        new("pair", (field, count) => field.RunPairs(count)),
        // As many tenants whatever the holes: their blocks stay in the caches, so the search is what differs.
        new("replace 1 of 32", (field, count) => field.RunReplacements(count, 32)),
        // Half as many tenants as holes: meets another part of the heap each time, so cold memory is in it as well.
        new("replace 1 of holes / 2", (field, count) => field.RunReplacements(count, int.MaxValue)),
    ];
}
