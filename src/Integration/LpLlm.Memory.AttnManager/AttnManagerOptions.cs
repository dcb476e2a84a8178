namespace LpLlm.Memory.Attention;

/// <summary>Options of the attention manager; names as in the system it replaces where that has them.</summary>
public sealed class AttnManagerOptions
{
    /// <summary>
    /// Where the tensors of requests lie: <c>cpu</c> (default), or the name or UUID of a device of the registered <see cref="IDeviceSet"/>,
    /// for example <c>cuda:0</c>. The attention itself is computed by the CPU, next to the pages, in either case.
    /// </summary>
    public string Device { get; set; } = "cpu";

    /// <summary>
    /// Name of the registered pool that holds the KV pages. Default null: <see cref="UseServerPool"/> chooses.
    /// </summary>
    public string? PoolName { get; set; }

    /// <summary>
    /// Without a <see cref="PoolName"/>: true (default) takes the one registered pool whose memory is shared with a pool server,
    /// false takes the default pool. Not looked at when a name is given.
    /// </summary>
    public bool UseServerPool { get; set; } = true;

    /// <summary>Most bytes of KV pages at any time; null (default) for as much as the pool gives. At least 1.</summary>
    public long? PoolSize { get; set; }

    /// <summary>Largest single block, in bytes, that the manager may rent for a KV page; null (default) for the pool's own limit. At least 1.</summary>
    public long? ChunkSize { get; set; }

    /// <summary>Tokens of a KV page, 1 to 4096. Default 16.</summary>
    public int PageTokens { get; set; } = 16;

    /// <summary>Requests that may wait; a further <c>SubmitAsync</c> waits until one has begun. 1 to 65,536, default 64.</summary>
    public int QueueLength { get; set; } = 64;

    /// <summary>Threads that compute one request; null (default) for one per processor. 1 to 1024.</summary>
    public int? Parallelism { get; set; }
}
