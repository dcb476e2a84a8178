namespace LpLlm.Memory.Transport.Client;

/// <summary>A lease as this process holds it. Everything that changes is under the source's gate.</summary>
internal sealed class ServerLease(Token session, Token epoch, ulong id, Token token, bool isShared)
{
    /// <summary>The session that holds it.</summary>
    public Token Session { get; set; } = session;

    /// <summary>The start of the server that knows it, or has refused to.</summary>
    public Token Epoch { get; set; } = epoch;

    /// <summary>New after the server's restart.</summary>
    public ulong Id { get; set; } = id;

    /// <summary>Whoever knows it may attach. The same after the server's restart.</summary>
    public Token Token { get; set; } = token;

    /// <summary>Made for others to join, or joined: it is one region, let go of as a whole, and nothing is ever added to it.</summary>
    public bool IsShared { get; } = isShared;

    /// <summary>What is held, in order.</summary>
    public List<HeldSegment> Segments { get; } = [];

    /// <summary>Whether the server knows it: false after it was lost, over gRPC with a restart. Its memory stays mapped and usable.</summary>
    public bool IsKnown { get; set; } = true;

    /// <summary>Whether the server wants it back: nothing is added to it any more.</summary>
    public bool IsRevoked { get; set; }

    /// <summary>While it is presented to a restarted server its ids are not known, so what is given back meanwhile is told afterwards.</summary>
    public bool IsBeingRestored { get; set; }

    public long LengthBytes => Segments.Sum(segment => segment.LengthBytes);
}
