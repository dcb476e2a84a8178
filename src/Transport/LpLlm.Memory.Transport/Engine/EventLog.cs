namespace LpLlm.Memory.Transport.Engine;

/// <summary>The latest events in a ring. Guarded by the engine's lock.</summary>
internal sealed class EventLog(int capacity, EngineClock clock)
{
    private readonly EventRecord?[] _ring = new EventRecord?[Math.Max(1, capacity)];
    private ulong _next;

    public void Add(string kind, ulong leaseId, long lengthBytes, string text)
    {
        _ring[_next % (ulong)_ring.Length] = new EventRecord(_next, clock.Now, kind, leaseId, lengthBytes, text);
        _next++;
    }

    /// <summary>Oldest first.</summary>
    public IReadOnlyList<EventRecord> Get(ulong? leaseId) =>
        [.. _ring.OfType<EventRecord>().Where(record => leaseId is null || record.LeaseId == leaseId).OrderBy(record => record.Sequence)];
}
