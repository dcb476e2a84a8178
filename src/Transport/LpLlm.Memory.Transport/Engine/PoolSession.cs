using LpLlm.Memory.Transport.Models;

namespace LpLlm.Memory.Transport.Engine;

/// <summary>A client as the engine knows it. Its state is the engine's, guarded by its lock; token and options never change.</summary>
internal sealed class PoolSession(Token token, SessionOptions options)
{
    public Token Token { get; } = token;

    public SessionOptions Options { get; } = options;

    public int Connections { get; set; }

    /// <summary>Timestamp of the last sign of life.</summary>
    public long LastSign { get; set; }

    /// <summary>Closed, exited or expired.</summary>
    public bool HasEnded { get; set; }

    /// <summary>Its process is proven to be gone.</summary>
    public bool HasExited { get; set; }

    /// <summary>
    /// Fires when it has ended and nothing is exposed to it any more: the end of its process matters no longer, and whoever waits for that may
    /// let go of the session.
    /// </summary>
    public CancellationTokenSource Over { get; } = new();

    /// <summary>What counts by its quota.</summary>
    public long ChargedBytes { get; set; }

    public HashSet<Lease> Leases { get; } = [];

    /// <summary>The models that it reads, by the id under which it opened them: each is kept in memory by its use.</summary>
    public Dictionary<Token, ServedModel> Uses { get; } = [];

    /// <summary>Segments whose descriptor it got, and which it could still touch.</summary>
    public HashSet<SegmentSlot> Exposures { get; } = [];

    /// <summary>Its requests: those that wait, and those whose lease lives.</summary>
    public Dictionary<Token, LeaseRequest> Requests { get; } = [];

    /// <summary>Requests that were withdrawn, oldest first: one that comes later, or again, is not served.</summary>
    public Queue<Token> Withdrawn { get; } = [];

    /// <summary>Who reads its events, or null.</summary>
    public SessionWatch? Watch { get; set; }

    /// <summary>It is not asked to trim again before this timestamp.</summary>
    public long TrimDue { get; set; } = long.MinValue;
}
