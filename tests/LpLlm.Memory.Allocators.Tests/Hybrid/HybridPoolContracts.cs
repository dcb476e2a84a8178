using LpLlm.Memory.Pooling;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.Hybrid;

public sealed class HybridOverOneMemberContract : AnySizePoolContract
{
    protected override IPinnedMemoryPool Create(int blocks) => Members.Hybrid("hybrid", Members.Local("local", blocks * BlockBytes));

    protected override string ServingPoolName(IPinnedMemoryPool pool) => "local";
}

public sealed class HybridOverSizeClassAndChainContract : PinnedPoolContract
{
    protected override IPinnedMemoryPool Create(int blocks) => blocks < 3
        ? Members.Hybrid("hybrid", Members.Local("local", blocks * BlockBytes))
        : Members.Hybrid(
            "hybrid",
            Members.FixedBlocks("class", BlockBytes, blocks / 3),
            Members.Local("local", BlockBytes),
            Members.Local("last", (blocks - (blocks / 3) - 1) * BlockBytes));

    protected override string ServingPoolName(IPinnedMemoryPool pool) => "local";
}

public sealed class HybridAmongWrappersContract : AnySizePoolContract
{
    protected override IPinnedMemoryPool Create(int blocks) => new PassThroughPool(Members.Hybrid(
        "hybrid", new HybridMember(new PassThroughPool(Members.Local("local", blocks * BlockBytes).Pool), IsOwned: true)));

    protected override string ServingPoolName(IPinnedMemoryPool pool) => "local";
}

public sealed class HybridOverHybridContract : AnySizePoolContract
{
    protected override IPinnedMemoryPool Create(int blocks) => Members.Hybrid(
        "hybrid", new HybridMember(Members.Hybrid("inner", Members.Local("local", blocks * BlockBytes)), IsOwned: true));

    protected override string ServingPoolName(IPinnedMemoryPool pool) => "local";
}

internal static class Members
{
    public static HybridPool Hybrid(string name, params HybridMember[] members) =>
        new(new HybridPoolSettings { Name = name }, members, NullLogger.Instance);

    /// <summary>A local pool that is the hybrid pool's own, so that a contract disposes it.</summary>
    public static HybridMember Local(string name, long capacityBytes) => new(
        PinnedPoolFactory.CreateLocal(
            name, new LocalPinnedPoolOptions { CapacityBytes = capacityBytes, AllowPageable = true }, NullLogger.Instance),
        IsOwned: true);

    /// <summary>A size class.</summary>
    public static HybridMember FixedBlocks(string name, long blockBytes, int blocks) => new(
        PinnedPoolFactory.CreateFixedBlock(
            name, new FixedBlockPinnedPoolOptions { BlockBytes = blockBytes, Blocks = blocks, AllowPageable = true }, NullLogger.Instance),
        IsOwned: true)
    {
        BlockBytes = blockBytes,
        AlignmentBytes = 4096,
    };
}
