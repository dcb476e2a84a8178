using System.Diagnostics.CodeAnalysis;
using LpLlm.Memory.Pooling;

namespace LpLlm.Memory.Wrappers;

/// <summary>A pool around a pool: passes everything on. Wrappers override what they change, and own what they wrap.</summary>
internal abstract class DelegatingPool(IPinnedMemoryPool inner) : IPinnedMemoryPool, IOpenablePool
{
    public string Name => inner.Name;

    public PoolCapabilities Capabilities => inner.Capabilities;

    protected internal IPinnedMemoryPool Inner => inner;

    public virtual PinnedLease Rent(long lengthBytes, int alignmentBytes = 256) => inner.Rent(lengthBytes, alignmentBytes);

    public virtual bool TryRent(long lengthBytes, [NotNullWhen(true)] out PinnedLease? lease, int alignmentBytes = 256) =>
        inner.TryRent(lengthBytes, out lease, alignmentBytes);

    public virtual ValueTask<PinnedLease> RentAsync(RentRequest request, CancellationToken cancellationToken = default) =>
        inner.RentAsync(request, cancellationToken);

    public virtual PoolSnapshot GetSnapshot() => inner.GetSnapshot();

    public virtual long Trim(long keepBytes = 0) => inner.Trim(keepBytes);

    public virtual Task OpenAsync(IProgress<PinProgress>? progress, CancellationToken cancellationToken) =>
        inner is IOpenablePool openable ? openable.OpenAsync(progress, cancellationToken) : Task.CompletedTask;

    public virtual void Dispose() => inner.Dispose();

    public virtual ValueTask DisposeAsync() => inner.DisposeAsync();
}
