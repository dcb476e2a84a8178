using System.Diagnostics.CodeAnalysis;
using LpLlm.Memory.Wrappers;

namespace LpLlm.Memory.Tests.Hybrid;

/// <summary>The least that a wrapper does: sees every rent and every return.</summary>
internal sealed class PassThroughPool(IPinnedMemoryPool inner) : DelegatingPool(inner)
{
    private readonly Returns _returns = new();

    public override PinnedLease Rent(long lengthBytes, int alignmentBytes = 256) => _returns.Watch(base.Rent(lengthBytes, alignmentBytes));

    public override bool TryRent(long lengthBytes, [NotNullWhen(true)] out PinnedLease? lease, int alignmentBytes = 256)
    {
        var served = base.TryRent(lengthBytes, out lease, alignmentBytes);
        if (served)
        {
            _returns.Watch(lease!);
        }

        return served;
    }

    public override async ValueTask<PinnedLease> RentAsync(RentRequest request, CancellationToken cancellationToken = default) =>
        _returns.Watch(await base.RentAsync(request, cancellationToken));

    private sealed class Returns : ReturnHandler
    {
        protected override void TakeBack(IPinnedLeaseOwner owner, in LeasedBlock block, IFence? fence) => owner.TakeBack(block, fence);
    }
}
