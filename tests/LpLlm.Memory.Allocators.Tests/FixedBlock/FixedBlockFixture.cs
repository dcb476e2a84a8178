using LpLlm.Memory.Pooling;

namespace LpLlm.Memory.Tests.FixedBlock;

/// <summary>A pool over simulated memory, 8 blocks of 4 KiB with thread caches unless told otherwise.</summary>
public abstract class FixedBlockFixture
{
    protected const long Block = 4096;

    protected SimulatedMemorySource Source { get; } = new();

    protected ManualTimeProvider Time { get; } = new();

    protected CollectingLogger Logger { get; } = new();

    private protected FixedBlockPool CreateSut(
        int blocks = 8, long blockBytes = Block, int threadCacheBlocks = 32, TimeSpan fenceTimeout = default, TimeProvider? time = null,
        IMemorySource? source = null) => new(
        new FixedBlockSettings
        {
            Name = "sut",
            BlockBytes = blockBytes,
            Blocks = blocks,
            ThreadCacheBlocks = threadCacheBlocks,
            FenceTimeout = fenceTimeout,
            RentTimeout = TimeSpan.FromSeconds(5),
            DisposeTimeout = TimeSpan.FromSeconds(2),
        },
        source ?? Source,
        Logger,
        time);
}
