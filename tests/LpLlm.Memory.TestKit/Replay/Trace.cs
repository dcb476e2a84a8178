namespace LpLlm.Memory.TestKit.Replay;

/// <summary>A trace that was read and checked: every return follows the rent of its lease, no lease is rented or returned twice.</summary>
/// <param name="Events">In the order of the file.</param>
/// <param name="IsComplete">False when the traced process died before it closed the file; what is there is right.</param>
public sealed record Trace(IReadOnlyList<TraceEvent> Events, bool IsComplete)
{
    /// <summary>Leases that were rented.</summary>
    public int Rents { get; } = Events.Count(e => e.Operation == TraceOperation.Rent);

    /// <summary>Leases that were returned.</summary>
    public int Returns { get; } = Events.Count(e => e.Operation == TraceOperation.Return);

    /// <summary>Rents that failed.</summary>
    public int Failures { get; } = Events.Count(e => e.Operation == TraceOperation.Fail);

    /// <summary>The most bytes that were rented at once, in the order of the file, without the pool's rounding.</summary>
    public long PeakBytes { get; } = FindPeak(Events);

    /// <summary>The longest length that was asked for; 0 in an empty trace.</summary>
    public long LongestBytes { get; } = Events.Select(e => e.LengthBytes).DefaultIfEmpty().Max();

    private static long FindPeak(IReadOnlyList<TraceEvent> events)
    {
        long live = 0, peak = 0;
        foreach (var e in events)
        {
            live += e.Operation switch
            {
                TraceOperation.Rent => e.LengthBytes,
                TraceOperation.Return => -e.LengthBytes,
                _ => 0,
            };
            peak = Math.Max(peak, live);
        }

        return peak;
    }
}
