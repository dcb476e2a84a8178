using LpLlm.Memory.Sources;

namespace LpLlm.Memory.Server;

/// <summary>
/// How many segments a server may have: each takes one of the process's descriptors for as long as it lives. Without descriptors left a server
/// could neither accept nor answer.
/// </summary>
internal static class SegmentLimit
{
    private const int MaxFiles = 7;

    public static int Find() =>
        OperatingSystem.IsLinux() && Libc.GetLimit(MaxFiles, out var limit) == 0 ? Of(limit.Current) : int.MaxValue;

    /// <summary>
    /// A quarter: two listeners take up to three quarters for their connections. The soft limit counts, which the runtime has raised to the hard
    /// one.
    /// </summary>
    internal static int Of(ulong files) => (int)Math.Clamp(files / 4, 16, int.MaxValue);
}
