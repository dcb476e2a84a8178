using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Metrics;
using LpLlm.Memory.Statistics;

namespace LpLlm.Memory.Wrappers;

/// <summary>Counts and times what goes through it, and offers the figures as metrics. Changes nothing.</summary>
internal sealed class StatisticsPool : DelegatingPool
{
    private readonly PoolRecorder _recorder;
    private readonly PoolMeter _meter;
    private readonly Returns _returns;

    public StatisticsPool(IPinnedMemoryPool inner, PoolRecorder recorder, IMeterFactory? meters = null)
        : base(inner)
    {
        _recorder = recorder;
        _meter = new PoolMeter(inner, recorder, meters);
        _returns = new Returns(recorder);
    }

    public override PinnedLease Rent(long lengthBytes, int alignmentBytes = 256)
    {
        var started = _recorder.Start();
        PinnedLease lease;
        try
        {
            lease = Inner.Rent(lengthBytes, alignmentBytes);
        }
        catch (Exception failure)
        {
            _recorder.Failed(failure);
            throw;
        }

        _recorder.Rented(started, lengthBytes);
        return _returns.Watch(lease);
    }

    public override bool TryRent(long lengthBytes, [NotNullWhen(true)] out PinnedLease? lease, int alignmentBytes = 256)
    {
        var started = _recorder.Start();
        try
        {
            if (!Inner.TryRent(lengthBytes, out lease, alignmentBytes))
            {
                _recorder.TryRentRefused();
                return false;
            }
        }
        catch (Exception failure)
        {
            _recorder.Failed(failure);
            throw;
        }

        _recorder.Rented(started, lengthBytes);
        _returns.Watch(lease);
        return true;
    }

    public override async ValueTask<PinnedLease> RentAsync(RentRequest request, CancellationToken cancellationToken = default)
    {
        var started = _recorder.Start();
        var waited = false;
        PinnedLease lease;
        try
        {
            var rent = Inner.RentAsync(request, cancellationToken);
            waited = !rent.IsCompleted;
            lease = await rent.ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            _recorder.Failed(failure, waited);
            throw;
        }
        finally
        {
            if (waited)
            {
                _meter.RecordWait(_recorder.WaitEnded(started));
            }
        }

        _recorder.RentedAsync(started, request.LengthBytes);
        return _returns.Watch(lease);
    }

    public override void Dispose()
    {
        _meter.Dispose();
        base.Dispose();
    }

    public override ValueTask DisposeAsync()
    {
        _meter.Dispose();
        return base.DisposeAsync();
    }

    /// <summary>Times the returns of this pool's leases.</summary>
    private sealed class Returns(PoolRecorder recorder) : ReturnHandler
    {
        protected override void TakeBack(IPinnedLeaseOwner owner, in LeasedBlock block, IFence? fence)
        {
            var started = recorder.Start();
            owner.TakeBack(block, fence);
            recorder.Returned(started, block.LengthBytes);
        }
    }
}
