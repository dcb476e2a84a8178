using LpLlm.Memory.Server;

namespace LpLlm.Memory;

/// <summary>Options of a pool over memory that a pool server leases to this process. Fixed once the pool exists.</summary>
public sealed class ServerPinnedPoolOptions : PinnedPoolOptions
{
    /// <summary>
    /// The server: <c>pipe:///path</c> (on Windows <c>pipe:///name</c>), <c>grpc://host:port</c> or <c>grpc+unix:///path</c> (both need <c>AddGrpcPoolTransport</c>, and a server
    /// on this host and of this user), or <c>embedded</c> for the one of this process (<c>AddPoolServer</c>). Required.
    /// </summary>
    public string EndPoint { get; set; } = "";

    /// <summary>The most bytes the pool may ever lease. Required: a multiple of 4 KiB, at least 4 KiB.</summary>
    public long CapacityBytes { get; set; }

    /// <summary>
    /// Bytes leased when the pool opens, rounded up to whole slabs, and kept when the pool is idle. 0 leases nothing before the first rent: then
    /// a host starts without its server. Default null: one slab. A multiple of 4 KiB, at most <see cref="CapacityBytes"/>.
    /// </summary>
    public long? InitialBytes { get; set; }

    /// <summary>
    /// Bytes the lease grows by, and with that the largest block the pool serves (less where <see cref="CapacityBytes"/> is smaller).
    /// Default 1 GiB. A multiple of 4 KiB, at most 1 TiB; multiples of the server's segments waste nothing.
    /// </summary>
    public long SlabBytes { get; set; } = 1L << 30;

    /// <summary>
    /// Free memory each thread may keep back for its own next rents, of up to 8 lengths it rents most. It serves anybody's rent that would
    /// otherwise fail. Default 16 MiB; 0 to 1 TiB, 0 for none.
    /// </summary>
    public long ThreadCacheBytes { get; set; } = 16L << 20;

    /// <summary>When this process pins what it leases. Default <see cref="SegmentPinning.Eager"/>; without a registered <see cref="IHostPinner"/> never.</summary>
    public SegmentPinning Pinning { get; set; }

    /// <summary>Longest time one call to the server may take, connecting included. 1 ms to 24 days. Default 5 s.</summary>
    public TimeSpan RequestTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long the server may wait for room before it refuses growth. 0 to 24 days; the server's own limit is 5 minutes. Default 5 s.</summary>
    public TimeSpan AcquireTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Time between attempts to reach a lost server again, doubling up to 16 times as long. 1 ms to 1 day. Default 250 ms.</summary>
    public TimeSpan ReconnectInterval { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// When nothing was rented or returned for so long (up to twice as long), slabs beyond <see cref="InitialBytes"/> that nothing is rented from
    /// go back to the server. 1 ms to 24 days, or <see cref="Timeout.InfiniteTimeSpan"/> for never. Default 30 s.
    /// </summary>
    public TimeSpan IdleTrimAfter { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How the server names this client to people. At most 128 characters. Default empty: the process's and the pool's name.</summary>
    public string ClientName { get; set; } = "";

    internal override void Validate(ICollection<string> errors)
    {
        PoolEndPoint.Check(errors, nameof(EndPoint), EndPoint);
        CheckSlabs(errors, CapacityBytes, InitialBytes, SlabBytes, ThreadCacheBytes);
        if (!Enum.IsDefined(Pinning))
        {
            errors.Add($"{nameof(Pinning)} is {(int)Pinning}; it must be Eager, Lazy or None.");
        }

        CheckTime(errors, nameof(RequestTimeout), RequestTimeout, TimeSpan.FromMilliseconds(1));
        CheckTime(errors, nameof(AcquireTimeout), AcquireTimeout, TimeSpan.Zero);
        CheckTime(errors, nameof(ReconnectInterval), ReconnectInterval, TimeSpan.FromMilliseconds(1));
        if (ReconnectInterval > TimeSpan.FromDays(1))
        {
            errors.Add($"{nameof(ReconnectInterval)} is {ReconnectInterval:c}; it must be at most 1.00:00:00.");
        }

        if (IdleTrimAfter != Timeout.InfiniteTimeSpan)
        {
            CheckTime(errors, nameof(IdleTrimAfter), IdleTrimAfter, TimeSpan.FromMilliseconds(1));
        }

        if (ClientName is null || ClientName.Length > 128)
        {
            errors.Add($"{nameof(ClientName)} is {(ClientName is null ? "null" : $"{ClientName.Length} characters long")}; it must have at most 128.");
        }

        base.Validate(errors);
    }
}
