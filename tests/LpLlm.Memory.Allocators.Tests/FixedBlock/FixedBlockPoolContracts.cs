using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.FixedBlock;

public sealed class FixedBlockPoolContract : PinnedPoolContract
{
    protected override IPinnedMemoryPool Create(int blocks) => PinnedPoolFactory.CreateFixedBlock(
        "fixed", new FixedBlockPinnedPoolOptions { BlockBytes = BlockBytes, Blocks = blocks, AllowPageable = true }, NullLogger.Instance);
}

public sealed class UncachedFixedBlockPoolContract : PinnedPoolContract
{
    protected override IPinnedMemoryPool Create(int blocks) => PinnedPoolFactory.CreateFixedBlock(
        "uncached",
        new FixedBlockPinnedPoolOptions { BlockBytes = BlockBytes, Blocks = blocks, ThreadCacheBlocks = 0, AllowPageable = true },
        NullLogger.Instance);
}
