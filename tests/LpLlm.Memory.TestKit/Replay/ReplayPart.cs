namespace LpLlm.Memory.TestKit.Replay;

/// <summary>The events of the traced threads that one thread replays, in the order of the trace.</summary>
internal sealed class ReplayPart
{
    private readonly TraceEvent[] _events;
    private readonly long[] _nextReturns;

    /// <param name="events">In order.</param>
    public ReplayPart(TraceEvent[] events)
    {
        _events = events;
        _nextReturns = new long[events.Length + 1];
        _nextReturns[^1] = long.MaxValue;
        for (var i = events.Length - 1; i >= 0; i--)
        {
            _nextReturns[i] = events[i].Operation == TraceOperation.Return ? events[i].Sequence : _nextReturns[i + 1];
        }
    }

    public ReadOnlySpan<TraceEvent> Events => _events;

    /// <summary>The sequence number of the first return at or behind an index; the largest number when there is none.</summary>
    /// <param name="index">An index of <see cref="Events"/>, or their number.</param>
    public long NextReturnAt(int index) => _nextReturns[index];

    /// <summary>Divides a trace: all events of one traced thread fall to one replaying thread.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="threads">Replaying threads at most; null for as many as the trace has.</param>
    public static IReadOnlyList<ReplayPart> Divide(Trace trace, int? threads)
    {
        var traced = trace.Events.Select(e => e.Thread).Distinct().Select((thread, index) => (thread, index))
            .ToDictionary(pair => pair.thread, pair => pair.index);
        var count = Math.Max(1, Math.Min(threads ?? traced.Count, traced.Count));
        return [.. trace.Events.GroupBy(e => traced[e.Thread] % count).Select(part => new ReplayPart([.. part]))];
    }
}
