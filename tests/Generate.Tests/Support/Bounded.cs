namespace LpLlm.Memory.Samples.Generate.Tests.Support;

/// <summary>One limit for every wait: far above what a step takes on a slow machine (seconds), far below a hung test run.</summary>
internal static class Bounded
{
    public static readonly TimeSpan Time = TimeSpan.FromSeconds(60);

    public static CancellationToken Token() => new CancellationTokenSource(Time).Token;
}
