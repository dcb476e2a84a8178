using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Wrappers.Tracing;

/// <summary>Writes each rent, failed rent and return of the pool it wraps to a file, for replay.</summary>
/// <remarks>
/// No state is kept per lease: the writer tells leases apart by their addresses. It can, because the file is in an order in which every return
/// comes before the next rent of the same address: a return is noted before the block is given back, a rent after it was had, and between
/// the two lies the pool's own hand-over. For the same reason the order is one in which the traced pool could have served the events.
/// </remarks>
internal sealed class TracingPool : DelegatingPool
{
    private readonly TraceWriter _writer;
    private readonly Returns _returns;

    /// <exception cref="ArgumentException">The options are wrong; every error is named.</exception>
    /// <exception cref="TraceException">The file cannot be created.</exception>
    public TracingPool(IPinnedMemoryPool inner, TracingOptions options, ILogger logger, TimeProvider? time = null)
        : base(inner)
    {
        OptionErrors.ThrowIfAny(inner.Name, options.Validate, nameof(options));
        _writer = new TraceWriter(inner.Name, options, logger, time ?? TimeProvider.System);
        _returns = new Returns(_writer);
    }

    public override PinnedLease Rent(long lengthBytes, int alignmentBytes = 256)
    {
        try
        {
            return Note(TracedOperation.Rent, Inner.Rent(lengthBytes, alignmentBytes), alignmentBytes);
        }
        catch (PinnedMemoryExhaustedException)
        {
            _writer.Add(TracedOperation.Fail, 0, lengthBytes, alignmentBytes);
            throw;
        }
    }

    public override bool TryRent(long lengthBytes, [NotNullWhen(true)] out PinnedLease? lease, int alignmentBytes = 256)
    {
        if (Inner.TryRent(lengthBytes, out lease, alignmentBytes))
        {
            Note(TracedOperation.Rent, lease, alignmentBytes);
            return true;
        }

        _writer.Add(TracedOperation.Fail, 0, lengthBytes, alignmentBytes);
        return false;
    }

    public override ValueTask<PinnedLease> RentAsync(RentRequest request, CancellationToken cancellationToken = default)
    {
        var renting = Inner.RentAsync(request, cancellationToken);
        return renting.IsCompletedSuccessfully
            ? new ValueTask<PinnedLease>(Note(TracedOperation.RentAsync, renting.Result, request.AlignmentBytes))
            : NoteLaterAsync(renting, request);
    }

    public override void Dispose()
    {
        try
        {
            base.Dispose();
        }
        catch (Exception failure)
        {
            CloseAfter(failure);
            throw;
        }

        _writer.Dispose();
    }

    public override async ValueTask DisposeAsync()
    {
        try
        {
            await base.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            CloseAfter(failure);
            throw;
        }

        _writer.Dispose();
    }

    /// <exception cref="AggregateException">The trace is not whole either; it carries both failures.</exception>
    private void CloseAfter(Exception failure)
    {
        try
        {
            _writer.Dispose();
        }
        catch (TraceException broken)
        {
            throw new AggregateException($"Pool '{Name}' could not be disposed, and its trace is not whole.", failure, broken);
        }
    }

    private async ValueTask<PinnedLease> NoteLaterAsync(ValueTask<PinnedLease> renting, RentRequest request)
    {
        try
        {
            return Note(TracedOperation.RentAsync, await renting.ConfigureAwait(false), request.AlignmentBytes);
        }
        catch (Exception failure) when (failure is PinnedMemoryExhaustedException or OperationCanceledException)
        {
            _writer.Add(TracedOperation.Fail, 0, request.LengthBytes, request.AlignmentBytes);
            throw;
        }
    }

    private PinnedLease Note(TracedOperation operation, PinnedLease lease, int alignmentBytes)
    {
        _writer.Add(operation, lease.Address, lease.LengthBytes, alignmentBytes);
        return _returns.Watch(lease);
    }

    private sealed class Returns(TraceWriter writer) : ReturnHandler
    {
        protected override void TakeBack(IPinnedLeaseOwner owner, in LeasedBlock block, IFence? fence)
        {
            writer.Add(fence is null ? TracedOperation.Return : TracedOperation.ReturnAfter, block.Address, block.LengthBytes, 0);
            owner.TakeBack(block, fence);
        }
    }
}
