namespace LpLlm.Memory.Transport.Engine;

/// <summary>
/// Requests that wait for room: by priority, then by arrival. The one in front is served first. While it does not fit, later ones that
/// would are held back by turns: 4 s so that a large one does not starve, 4 s not so that it does not stop all others. Guarded by the engine's lock.
/// </summary>
internal sealed class AdmissionQueue
{
    private readonly SortedSet<LeaseRequest> _waiting = [];

    public int Count => _waiting.Count;

    public LeaseRequest? Front => _waiting.Min;

    public IEnumerable<LeaseRequest> Waiting => _waiting;

    /// <summary>The first behind the front that asks for no more than that.</summary>
    public LeaseRequest? FindBehind(LeaseRequest front, long lengthBytes) =>
        _waiting.FirstOrDefault(request => request != front && request.LengthBytes <= lengthBytes);

    /// <summary>The first of the other kind of memory.</summary>
    public LeaseRequest? FindOther(LeaseRequest front) =>
        _waiting.FirstOrDefault(request => request.Session.Options.HoldsModels != front.Session.Options.HoldsModels);

    public void Add(LeaseRequest request) => _waiting.Add(request);

    public void Remove(LeaseRequest request) => _waiting.Remove(request);
}
