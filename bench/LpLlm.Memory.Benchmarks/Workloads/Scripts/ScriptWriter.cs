namespace LpLlm.Memory.Benchmarks.Workloads.Scripts;

/// <summary>Writes phases with a generator of fixed seed: the same script in every run.</summary>
internal sealed class ScriptWriter
{
    private readonly Random _random = new(42);

    public Step[] Allocate(int count, Func<Random, long> nextLength) => Mix(count, random => (StepKind.Allocate, nextLength(random)));

    public Step[] Replace(int count, Func<Random, long> nextLength) => Mix(count, random => (StepKind.Replace, nextLength(random)));

    public Step[] Free(int count) => Mix(count, _ => (StepKind.Free, 0L));

    /// <summary>As many steps as asked for, each decided by the delegate, which gets the generator.</summary>
    public Step[] Mix(int count, Func<Random, (StepKind Kind, long LengthBytes)> next)
    {
        var steps = new Step[count];
        for (var i = 0; i < count; i++)
        {
            var (kind, lengthBytes) = next(_random);
            steps[i] = new Step(lengthBytes, (uint)_random.NextInt64(1L << 32), kind);
        }

        return steps;
    }
}
