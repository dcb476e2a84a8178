using LpLlm.Memory.Pooling;

namespace LpLlm.Memory.Tests.Pooling;

/// <summary>A pool over simulated memory, 4 MiB in slabs of 1 MiB unless told otherwise. A lease that a test forgets fails its disposal in 2 s.</summary>
public abstract class PoolFixture
{
    protected const long MiB = 1 << 20;

    protected SimulatedMemorySource Source { get; init; } = new();

    protected ManualTimeProvider Time { get; } = new();

    protected CollectingLogger Logger { get; } = new();

    private protected PinnedPool CreateSut(
        long capacityBytes = 4 * MiB,
        long slabBytes = MiB,
        long initialBytes = 0,
        TimeProvider? time = null,
        long threadCacheBytes = 0,
        TimeSpan? fenceTimeout = null,
        bool opensAhead = false) => new(
        new PinnedPoolSettings
        {
            Name = "sut",
            CapacityBytes = capacityBytes,
            SlabBytes = slabBytes,
            InitialBytes = initialBytes,
            OpensAhead = opensAhead,
            ThreadCacheBytes = threadCacheBytes,
            FenceTimeout = fenceTimeout ?? TimeSpan.FromMilliseconds(1),
            RentTimeout = TimeSpan.FromSeconds(5),
            DisposeTimeout = TimeSpan.FromSeconds(2),
        },
        Source,
        Logger,
        time ?? TimeProvider.System);
}

public static class PoolTestExtensions
{
    /// <summary>The interface's default method, for variables of a class.</summary>
    public static ValueTask<PinnedLease> RentAsync(
        this IPinnedMemoryPool pool, long lengthBytes, int alignmentBytes = 256, CancellationToken cancellationToken = default) =>
        pool.RentAsync(lengthBytes, alignmentBytes, cancellationToken);
}
