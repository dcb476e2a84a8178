namespace LpLlm.Memory.Transport.Engine;

/// <summary>
/// What models and pools' leases take of the one capacity. Each has a floor that the other cannot reach, and both compete for the rest. Counted from the
/// moment a request has its room until nobody uses the segment: what is being zeroed or discarded is nobody's. Guarded by the engine's lock.
/// </summary>
internal sealed class SharesBook(PoolEngineSettings settings)
{
    public long PoolBytes { get; private set; }

    public long ModelBytes { get; private set; }

    /// <summary>The most that all sessions of that kind can have together.</summary>
    public long Most(SessionOptions kind) => kind.HoldsModels ? settings.MaxModelBytes : settings.MaxPoolBytes;

    public long Held(SessionOptions kind) => kind.HoldsModels ? ModelBytes : PoolBytes;

    public void Charge(SessionOptions kind, long bytes)
    {
        if (kind.HoldsModels)
        {
            ModelBytes += bytes;
        }
        else
        {
            PoolBytes += bytes;
        }
    }

    public void Refund(SessionOptions kind, long bytes) => Charge(kind, -bytes);

    /// <summary>Whether the other kind's floor leaves room for the request.</summary>
    public bool HasRoom(LeaseRequest request) =>
        !SegmentSizes.Exceeds(Held(request.Session.Options), request.LengthBytes, Most(request.Session.Options));

    /// <summary>Whether the request takes only what its kind's floor keeps for it: then nobody of the other kind can have a claim to that.</summary>
    public bool IsWithinFloor(LeaseRequest request) =>
        !SegmentSizes.Exceeds(Held(request.Session.Options), request.LengthBytes, Floor(request.Session.Options));

    /// <summary>Whether a request gets nearer to its room when that session gives memory back.</summary>
    public bool CanHelp(SessionOptions kind, LeaseRequest request) =>
        kind.HoldsModels == request.Session.Options.HoldsModels || (HasRoom(request) && Held(kind) > Floor(kind));

    private long Floor(SessionOptions kind) => kind.HoldsModels ? settings.ModelFloorBytes : settings.PoolFloorBytes;
}
