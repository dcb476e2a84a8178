using System.Diagnostics.CodeAnalysis;
using LpLlm.Memory.Wrappers;

namespace LpLlm.Memory.Tests.Wrappers;

/// <summary>Refuses rents of one length, and calls back before it does.</summary>
internal sealed class RefusingPool(IPinnedMemoryPool inner, long refusedBytes, Action refused) : DelegatingPool(inner)
{
    public override bool TryRent(long lengthBytes, [NotNullWhen(true)] out PinnedLease? lease, int alignmentBytes = 256)
    {
        if (lengthBytes != refusedBytes)
        {
            return base.TryRent(lengthBytes, out lease, alignmentBytes);
        }

        refused();
        lease = null;
        return false;
    }
}
