namespace LpLlm.Memory.Transport.Engine;

/// <summary>Who opens a session.</summary>
internal sealed record SessionOptions
{
    /// <summary>For people.</summary>
    public string ClientName { get; init; } = "";

    public int? ProcessId { get; init; }

    /// <summary>Quotas count by it, and memory is reused within one user only. Null: unknown, and never the same as another's.</summary>
    public uint? UserId { get; init; }

    /// <summary>
    /// Whether <see cref="PoolEngine.Exited"/> will be called when the process is gone. Such a session never expires while it holds a lease
    /// or is connected; others do, and their memory is never reused.
    /// </summary>
    public bool IsWatched { get; init; }

    /// <summary>
    /// Whether it is root, the server's own user or its own process: for these a part of sessions and queue is kept, and only theirs are requests
    /// of high priority.
    /// </summary>
    public bool IsPrivileged { get; init; }

    /// <summary>Whether the server trusts it not to touch what it gave back, because it is the same process: its memory needs no proof of death.</summary>
    public bool IsThisProcess { get; init; }

    /// <summary>
    /// Whether it is the model store. It counts by the floor of models instead of by clients' quotas, and its segments are not sealed against further
    /// seals before somebody else gets them.
    /// </summary>
    public bool HoldsModels { get; init; }
}
