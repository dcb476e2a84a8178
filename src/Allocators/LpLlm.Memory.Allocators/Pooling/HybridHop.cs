namespace LpLlm.Memory.Pooling;

/// <summary>A member at its place in the order: whether it works, and what it has done. Thread-safe.</summary>
internal sealed class HybridHop
{
    private readonly HopLeases[] _leases;
    private PinnedMemoryException? _failure;
    private string? _lastFailure;
    private long _exhausted;
    private long _unavailable;

    public HybridHop(HybridMember member, LeaseRundown rundown)
    {
        Member = member;
        _leases = [.. Enum.GetValues<LeasePlacement>().Select(placement => new HopLeases(rundown, placement))];
    }

    public HybridMember Member { get; }

    public IPinnedMemoryPool Pool => Member.Pool;

    /// <summary>Why it is not asked; null while it works.</summary>
    public PinnedMemoryException? Failure => Volatile.Read(ref _failure);

    /// <summary>Why a lease comes from here when no earlier member could have served it.</summary>
    public LeasePlacement OwnPlacement => Member.BlockBytes is null ? LeasePlacement.FirstChoice : LeasePlacement.SizeClass;

    public PinnedLease Serve(PinnedLease lease, LeasePlacement placement) => _leases[(int)placement].Serve(lease);

    public void CountExhausted() => Interlocked.Increment(ref _exhausted);

    public void CountUnavailable() => Interlocked.Increment(ref _unavailable);

    /// <returns>Whether it worked until now.</returns>
    public bool MarkUnavailable(PinnedMemoryException failure)
    {
        Volatile.Write(ref _lastFailure, failure.Message);
        return Interlocked.CompareExchange(ref _failure, failure, null) is null;
    }

    public void MarkAvailable() => Volatile.Write(ref _failure, null);

    /// <summary>Rents the smallest block and returns it.</summary>
    public async Task<bool> ProbeAsync(CancellationToken cancellationToken)
    {
        try
        {
            (await Pool.RentAsync(new RentRequest(1) { Timeout = TimeSpan.Zero }, cancellationToken).ConfigureAwait(false)).Dispose();
            return true;
        }
        catch (PinnedMemoryExhaustedException)
        {
            return true; // it is full, so it works
        }
        catch (Exception failure) when (!cancellationToken.IsCancellationRequested)
        {
            Volatile.Write(ref _lastFailure, failure.Message); // whatever it throws, it does not work yet
            return false;
        }
    }

    public HopStatistics GetStatistics()
    {
        // Returns are read first: what is out is never below zero.
        long returned = _leases.Sum(leases => leases.Returned), returnedBytes = _leases.Sum(leases => leases.ReturnedBytes);
        long served = _leases.Sum(leases => leases.Served), servedBytes = _leases.Sum(leases => leases.ServedBytes);
        return new HopStatistics
        {
            PoolName = Pool.Name,
            ServedRents = served,
            ServedBytes = servedBytes,
            LiveLeases = served - returned,
            LiveBytes = servedBytes - returnedBytes,
            ExhaustedRents = Interlocked.Read(ref _exhausted),
            UnavailableRents = Interlocked.Read(ref _unavailable),
            IsAvailable = Failure is null,
            LastFailure = Volatile.Read(ref _lastFailure),
        };
    }
}
