using LpLlm.Memory.Pooling;
using LpLlm.Memory.Sources;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.Pooling;

public sealed class LocalPinnedPoolContract : AnySizePoolContract
{
    protected override IPinnedMemoryPool Create(int blocks) => PinnedPoolFactory.CreateLocal(
        "local", new LocalPinnedPoolOptions { CapacityBytes = blocks * BlockBytes, AllowPageable = true }, NullLogger.Instance);
}

public sealed class FirstFitPinnedPoolContract : AnySizePoolContract
{
    protected override IPinnedMemoryPool Create(int blocks) => new PinnedPool(
        new PinnedPoolSettings { Name = "first-fit", CapacityBytes = blocks * BlockBytes, SlabBytes = blocks * BlockBytes },
        new HostMemorySource(new HostMemorySettings(), new FakePinner(), NullLogger.Instance),
        NullLogger.Instance,
        createAllocator: bytes => new FirstFitAllocator(bytes));
}

public sealed class UncachedPinnedPoolContract : AnySizePoolContract
{
    protected override IPinnedMemoryPool Create(int blocks) => PinnedPoolFactory.CreateLocal(
        "uncached",
        new LocalPinnedPoolOptions { CapacityBytes = blocks * BlockBytes, ThreadCacheBytes = 0, AllowPageable = true },
        NullLogger.Instance);
}
