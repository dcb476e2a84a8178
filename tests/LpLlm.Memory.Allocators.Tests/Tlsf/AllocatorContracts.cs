using LpLlm.Memory.Tlsf;

namespace LpLlm.Memory.Tests.Tlsf;

public sealed class TlsfAllocatorContract : BlockAllocatorContract
{
    protected override IBlockAllocator Create(long capacityBytes) => new TlsfAllocator(capacityBytes);
}

public sealed class FirstFitAllocatorContract : BlockAllocatorContract
{
    protected override IBlockAllocator Create(long capacityBytes) => new FirstFitAllocator(capacityBytes);
}
