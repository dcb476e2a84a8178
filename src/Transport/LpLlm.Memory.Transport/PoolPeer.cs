namespace LpLlm.Memory.Transport;

/// <summary>Who is at the other end of a connection, as far as the operating system vouches for it.</summary>
public sealed record PoolPeer
{
    /// <summary>Where from, for logs: <c>pid 4711 (uid 1000)</c>, <c>127.0.0.1:50132</c>.</summary>
    public required string Description { get; init; }

    /// <summary>The process, or null where the transport cannot tell. Never what the client says of itself.</summary>
    public int? ProcessId { get; init; }

    /// <summary>The user, or null where the transport cannot tell. On Windows the last part of its SID.</summary>
    public uint? UserId { get; init; }

    /// <summary>The user's main group, or null where the transport cannot tell.</summary>
    public uint? GroupId { get; init; }

    /// <summary>
    /// Completes when the kernel says that the process is gone, with all its memory and descriptors. Null where that cannot be known: then
    /// a session lives by its heartbeats, and its memory is never reused.
    /// </summary>
    public Task? Exited { get; init; }

    /// <summary>Whether descriptors travel both ways.</summary>
    public bool PassesFiles { get; init; }

    /// <summary>Whether it is this very process.</summary>
    public bool IsThisProcess { get; init; }
}
