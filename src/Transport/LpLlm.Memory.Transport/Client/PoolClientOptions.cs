namespace LpLlm.Memory.Transport.Client;

/// <summary>What the client of a pool server needs to know; validated by the options it comes from.</summary>
internal sealed record PoolClientOptions
{
    public required Uri EndPoint { get; init; }

    /// <summary>For people: shows in the server's list.</summary>
    public string ClientName { get; init; } = "";

    /// <summary>Most memory of the client: the address range it reserves.</summary>
    public required long CapacityBytes { get; init; }

    /// <summary>Deadline of one call, connecting included; waiting for room comes on top.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long the server may wait for room before it refuses growth.</summary>
    public TimeSpan AcquireTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// What a call's deadline grows by for memory that the server has to make, or to look at, first: it populates and page-locks 1 GiB in 2 to
    /// 2.6 s. At most an hour: timers end at 49 days.
    /// </summary>
    public static TimeSpan MakingTime(long lengthBytes) => TimeSpan.FromSeconds(Math.Min(3600, 5.0 * lengthBytes / (1L << 30)));

    /// <summary>Time between attempts to connect again, doubling up to 16 times as long.</summary>
    public TimeSpan ReconnectInterval { get; init; } = TimeSpan.FromMilliseconds(250);

    public SegmentPinning Pinning { get; init; }

    /// <summary>Pinned at a time before memory is handed out: the most that a pinner takes in one call.</summary>
    public long EagerPieceBytes { get; init; } = 1L << 30;

    /// <summary>Pinned at a time in the background: 1 ms, so that giving memory back waits no longer.</summary>
    public long LazyPieceBytes { get; init; } = 16L << 20;
}
