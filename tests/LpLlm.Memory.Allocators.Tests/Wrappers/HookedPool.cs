using LpLlm.Memory.Wrappers;

namespace LpLlm.Memory.Tests.Wrappers;

/// <summary>Calls back once a block has been given back, before whoever returned it goes on.</summary>
internal sealed class HookedPool(IPinnedMemoryPool inner, Action returned) : DelegatingPool(inner)
{
    private readonly Returns _returns = new(returned);

    public override PinnedLease Rent(long lengthBytes, int alignmentBytes = 256) => _returns.Watch(base.Rent(lengthBytes, alignmentBytes));

    private sealed class Returns(Action returned) : ReturnHandler
    {
        protected override void TakeBack(IPinnedLeaseOwner owner, in LeasedBlock block, IFence? fence)
        {
            owner.TakeBack(block, fence);
            returned();
        }
    }
}
