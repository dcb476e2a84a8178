namespace LpLlm.Memory.Tests.Server;

/// <summary>How a test wants its daemon.</summary>
internal sealed record DaemonSettings
{
    public const long MiB = 1 << 20;

    public long CapacityBytes { get; init; } = 32 * MiB;

    public long SegmentBytes { get; init; } = 2 * MiB;

    /// <summary>Where its models lie.</summary>
    public string StoragePath { get; init; } = "/nonexistent";

    /// <summary>The section PoolServer of its configuration file.</summary>
    public Dictionary<string, object> Options { get; init; } = new() { ["QuarantineTime"] = "00:00:00.050" };

    /// <summary>What comes before the command, for example to set its limits.</summary>
    public string[] Prefix { get; init; } = [];

    public DaemonSettings With(string option, object value) => this with { Options = new(Options) { [option] = value } };
}
