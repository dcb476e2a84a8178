namespace LpLlm.Memory;

/// <summary>What a pool did so far, beyond its <see cref="PoolSnapshot"/>. Counted from the pool's creation; never reset.</summary>
/// <remarks>Thread-safe. While other threads rent, the figures of one answer may be from instants a few rents apart.</remarks>
public interface IPoolStatistics
{
    /// <summary>The figures now. For polling in seconds, not in microseconds: it adds up the counters of all processors.</summary>
    PoolStatistics GetStatistics();
}
