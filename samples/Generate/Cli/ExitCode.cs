namespace LpLlm.Memory.Samples.Generate.Cli;

internal static class ExitCode
{
    public const int Success = 0;

    public const int Failure = 1;

    public const int Usage = 2;

    /// <summary>As shells report an end by Ctrl-C: 128 + SIGINT.</summary>
    public const int Cancelled = 130;
}
