using LpLlm.Memory.Statistics;
using LpLlm.Memory.Wrappers;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.Wrappers;

public sealed class LimitedPoolContract : AnySizePoolContract
{
    protected override IPinnedMemoryPool Create(int blocks) => TestPools.Limit(TestPools.Local(blocks * BlockBytes), blocks * BlockBytes);
}

/// <summary>The limit alone is what fills; the pool under it has room to spare.</summary>
public sealed class LimitedLargePoolContract : AnySizePoolContract
{
    protected override IPinnedMemoryPool Create(int blocks) => TestPools.Limit(TestPools.Local(3 * blocks * BlockBytes), blocks * BlockBytes);
}

/// <summary>The pool alone is what fills; the limit is never reached.</summary>
public sealed class LimitedSmallPoolContract : AnySizePoolContract
{
    protected override IPinnedMemoryPool Create(int blocks) => TestPools.Limit(TestPools.Local(blocks * BlockBytes), 3 * blocks * BlockBytes);
}

public sealed class StatisticsPoolContract : AnySizePoolContract
{
    protected override IPinnedMemoryPool Create(int blocks) => TestPools.Statistics(TestPools.Local(blocks * BlockBytes));
}

public sealed class LimitOverStatisticsOverLimitContract : AnySizePoolContract
{
    protected override IPinnedMemoryPool Create(int blocks) => TestPools.Limit(
        TestPools.Statistics(TestPools.Limit(TestPools.Local(2 * blocks * BlockBytes), blocks * BlockBytes)), blocks * BlockBytes);
}

public sealed class StatisticsOverLimitContract : AnySizePoolContract
{
    protected override IPinnedMemoryPool Create(int blocks) =>
        TestPools.Statistics(TestPools.Limit(TestPools.Local(2 * blocks * BlockBytes), blocks * BlockBytes));
}

/// <summary>Pools for tests of wrappers.</summary>
internal static class TestPools
{
    public static IPinnedMemoryPool Local(long capacityBytes) => PinnedPoolFactory.CreateLocal(
        "local", new LocalPinnedPoolOptions { CapacityBytes = capacityBytes, AllowPageable = true }, NullLogger.Instance);

    public static LimitedPool Limit(IPinnedMemoryPool inner, long limitBytes) =>
        new(inner, new LimitOptions { LimitBytes = limitBytes }, NullLogger.Instance);

    public static StatisticsPool Statistics(IPinnedMemoryPool inner) => new(inner, new PoolRecorder());
}
