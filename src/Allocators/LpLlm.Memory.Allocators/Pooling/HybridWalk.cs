namespace LpLlm.Memory.Pooling;

/// <summary>What one rent has met on its way along the members: the reason its lease will carry.</summary>
internal struct HybridWalk
{
    private bool _metExhausted;

    public bool MetUnavailable { get; private set; }

    public void Exhausted(HybridHop hop)
    {
        hop.CountExhausted();
        _metExhausted = true;
    }

    public void Unavailable(HybridHop hop)
    {
        hop.CountUnavailable();
        MetUnavailable = true;
    }

    public readonly LeasePlacement PlacementOf(HybridHop hop) =>
        MetUnavailable ? LeasePlacement.Unavailable : _metExhausted ? LeasePlacement.Exhausted : hop.OwnPlacement;
}
