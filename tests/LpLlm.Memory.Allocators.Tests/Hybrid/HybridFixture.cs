using LpLlm.Memory.Pooling;

namespace LpLlm.Memory.Tests.Hybrid;

/// <summary>Hybrid pools over pools over simulated memory. A lease that a test forgets fails its disposal in 2 s.</summary>
public abstract class HybridFixture
{
    protected const long MiB = 1 << 20;
    protected const long KiB = 1 << 10;

    protected ManualTimeProvider Time { get; } = new();

    protected CollectingLogger Logger { get; } = new();

    private protected PinnedPool Pool(
        string name,
        long capacityBytes = MiB,
        PoolCapabilities capabilities = PoolCapabilities.PageLocked,
        TimeProvider? time = null,
        SimulatedMemorySource? source = null,
        long threadCacheBytes = 0) => new(
        new PinnedPoolSettings
        {
            Name = name,
            CapacityBytes = capacityBytes,
            SlabBytes = capacityBytes,
            ThreadCacheBytes = threadCacheBytes,
            FenceTimeout = TimeSpan.Zero,
            DisposeTimeout = TimeSpan.FromSeconds(2),
        },
        source ?? new SimulatedMemorySource { Capabilities = capabilities },
        Logger,
        time ?? TimeProvider.System);

    /// <summary>A size class as the hybrid pool makes them: of one length, and its own.</summary>
    private protected HybridMember Class(long blockBytes, int blocks) =>
        new(Pool($"class-{blockBytes}", blocks * blockBytes), IsOwned: true) { BlockBytes = blockBytes, AlignmentBytes = 4096 };

    private protected HybridPool Hybrid(HybridPoolSettings settings, params HybridMember[] members) => new(settings, members, Logger, Time);

    private protected HybridPool Hybrid(params HybridMember[] members) => Hybrid(Settings(), members);

    private protected static HybridPoolSettings Settings() => new() { Name = "sut", DisposeTimeout = TimeSpan.FromSeconds(2) };

    private protected static HybridMember Chain(IPinnedMemoryPool pool) => new(pool);

    /// <summary>Passes until a probe has found that a member works: each advance is one retry interval.</summary>
    private protected async Task UntilRecoveredAsync(HybridPool pool, int hop)
    {
        await TestTimeouts.UntilAsync(() =>
        {
            Time.Advance(TimeSpan.FromMilliseconds(500));
            return pool.GetHops()[hop].IsAvailable;
        });
    }
}
