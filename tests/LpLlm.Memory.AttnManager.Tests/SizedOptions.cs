namespace LpLlm.Memory.Configuration.Tests;

public sealed class SizedOptions
{
    public long CapacityBytes { get; set; } = 7;

    public long? LimitBytes { get; set; }

    public int MessageBytes { get; set; } = 5;

    public int Count { get; set; } = 3;

    public bool Enabled { get; set; }

    public TimeSpan? Deadline { get; set; }

    public DayOfWeek Day { get; set; }

    public string? Label { get; set; }

    public SizedOptions? Inner { get; set; }

    public List<SizedOptions> Parts { get; } = [];

    public Dictionary<string, long> Classes { get; } = [];

    public long[] Sizes { get; set; } = [];
}
