using System.Diagnostics;

namespace LpLlm.Memory.Samples.Generate.Hosting;

/// <summary>Times of one run.</summary>
internal sealed class RunStatistics
{
    private long _loading;
    private long _started;
    private long _first;
    private long _last;

    public TimeSpan LoadTime { get; private set; }

    public long WeightBytes { get; private set; }

    public int TokenCount { get; private set; }

    public IReadOnlyList<PoolState> Pools { get; set; } = [];

    /// <summary>From the prompt to the first new byte: the prefill.</summary>
    public TimeSpan TimeToFirstToken => Stopwatch.GetElapsedTime(_started, _first);

    /// <summary>Of the tokens behind the first, which the prefill made; null for a single token.</summary>
    public double? TokensPerSecond => TokenCount > 1 ? (TokenCount - 1) / Stopwatch.GetElapsedTime(_first, _last).TotalSeconds : null;

    public double LoadedGigabytesPerSecond => WeightBytes / LoadTime.TotalSeconds / 1e9;

    public void Loading() => _loading = Stopwatch.GetTimestamp();

    public void Loaded(long weightBytes)
    {
        LoadTime = Stopwatch.GetElapsedTime(_loading);
        WeightBytes = weightBytes;
    }

    public void Started() => _started = Stopwatch.GetTimestamp();

    public void Made(int tokenCount)
    {
        _last = Stopwatch.GetTimestamp();
        _first = tokenCount == 1 ? _last : _first;
        TokenCount = tokenCount;
    }
}
