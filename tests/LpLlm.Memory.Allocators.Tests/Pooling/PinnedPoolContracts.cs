using LpLlm.Memory.Pooling;
using LpLlm.Memory.Sources;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.Pooling;

public sealed class LocalPinnedPoolContract : PinnedPoolContract
{
    protected override IPinnedMemoryPool Create(long capacityBytes) => PinnedPoolFactory.CreateLocal(
        "local", new LocalPinnedPoolOptions { CapacityBytes = capacityBytes, AllowPageable = true }, NullLogger.Instance);
}

public sealed class FirstFitPinnedPoolContract : PinnedPoolContract
{
    protected override IPinnedMemoryPool Create(long capacityBytes) => new PinnedPool(
        new PinnedPoolSettings { Name = "first-fit", CapacityBytes = capacityBytes, SlabBytes = capacityBytes },
        new AnonymousMemorySource(new FakePinner(), true, false, NullLogger.Instance),
        NullLogger.Instance,
        createAllocator: bytes => new FirstFitAllocator(bytes));
}
