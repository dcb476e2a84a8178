namespace LpLlm.Memory.Transport.Engine;

/// <summary>
/// Requests that wait for room: by priority, then by arrival. Only the one in front is served, even if a later one would fit: else large ones
/// would starve. Guarded by the engine's lock.
/// </summary>
internal sealed class AdmissionQueue(int capacity)
{
    private readonly SortedSet<LeaseRequest> _waiting = [];

    public int Count => _waiting.Count;

    public bool IsFull => _waiting.Count >= capacity;

    public LeaseRequest? Front => _waiting.Min;

    public IEnumerable<LeaseRequest> Waiting => _waiting;

    public void Add(LeaseRequest request) => _waiting.Add(request);

    public void Remove(LeaseRequest request) => _waiting.Remove(request);
}
