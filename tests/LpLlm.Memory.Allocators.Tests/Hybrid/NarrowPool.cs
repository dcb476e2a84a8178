using System.Diagnostics.CodeAnalysis;

namespace LpLlm.Memory.Tests.Hybrid;

/// <summary>A pool that never serves an alignment above what its blocks have: false, or no room that will not come.</summary>
/// <param name="maxAlignmentBytes">What its blocks have.</param>
internal sealed class NarrowPool(int maxAlignmentBytes) : IPinnedMemoryPool
{
    private readonly FakePool _inner = new("narrow", capabilities: PoolCapabilities.PageLocked);

    public string Name => _inner.Name;

    public PoolCapabilities Capabilities => _inner.Capabilities;

    public PinnedLease Rent(long lengthBytes, int alignmentBytes = 256) => alignmentBytes <= maxAlignmentBytes
        ? _inner.Rent(lengthBytes, alignmentBytes)
        : throw new PinnedMemoryExhaustedException(Name, ExhaustionCause.Limit, lengthBytes, largestBlockBytes: 0, GetSnapshot());

    public bool TryRent(long lengthBytes, [NotNullWhen(true)] out PinnedLease? lease, int alignmentBytes = 256)
    {
        lease = null;
        return alignmentBytes <= maxAlignmentBytes && _inner.TryRent(lengthBytes, out lease, alignmentBytes);
    }

    public ValueTask<PinnedLease> RentAsync(RentRequest request, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(Rent(request.LengthBytes, request.AlignmentBytes));

    public PoolSnapshot GetSnapshot() => _inner.GetSnapshot();

    public long Trim(long keepBytes = 0) => _inner.Trim(keepBytes);

    public void Dispose() => _inner.Dispose();

    public ValueTask DisposeAsync() => _inner.DisposeAsync();
}
