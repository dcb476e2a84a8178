using LpLlm.Memory.Transport.Engine;

namespace LpLlm.Memory.Transport;

/// <summary>A client process as the simulation knows it, apart from what the engine believes.</summary>
internal sealed class SimulatedClient(string name, PoolSession session)
{
    public string Name { get; } = name;

    public PoolSession Session { get; } = session;

    public SessionOptions Options => Session.Options;

    public int Connections { get; set; } = 1;

    /// <summary>Its session was closed, has expired or its process is gone.</summary>
    public bool HasEnded { get; set; }

    public bool HasExited { get; set; }

    /// <summary>What it holds: segments by id, of leases by id.</summary>
    public Dictionary<ulong, Dictionary<ulong, SimulatedSegment>> Leases { get; } = [];

    public Dictionary<ulong, Token> Tokens { get; } = [];

    /// <summary>Everything it ever got a descriptor of: it may write to it as long as it lives.</summary>
    public HashSet<SimulatedSegment> Mapped { get; } = [];

    public List<SimulatedRequest> Requests { get; } = [];

    public IEnumerable<SimulatedSegment> Held => Leases.Values.SelectMany(segments => segments.Values);
}
