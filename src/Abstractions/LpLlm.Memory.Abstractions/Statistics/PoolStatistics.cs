namespace LpLlm.Memory;

/// <summary>Counts and latencies of a pool since it was created.</summary>
public readonly record struct PoolStatistics
{
    /// <summary>Synchronous rents that got a lease: <c>Rent</c> and <c>TryRent</c>.</summary>
    public LatencySummary Rent { get; init; }

    /// <summary>Asynchronous rents that got a lease, the wait for room included.</summary>
    public LatencySummary RentAsync { get; init; }

    /// <summary>Returns of leases, those behind fences included; the wait for the fence is not.</summary>
    public LatencySummary Return { get; init; }

    /// <summary>Bytes rented, as asked for.</summary>
    public long RentedBytes { get; init; }

    /// <summary>Bytes returned, those behind fences included.</summary>
    public long ReturnedBytes { get; init; }

    /// <summary>Asynchronous rents that were not answered at once, whatever the answer was.</summary>
    public long WaitedRents { get; init; }

    /// <summary>Asynchronous rents whose deadline passed; they are also counted under their cause.</summary>
    public long TimedOutRents { get; init; }

    /// <summary>Asynchronous rents that were cancelled.</summary>
    public long CanceledRents { get; init; }

    /// <summary>Times that <c>TryRent</c> answered false. It names no cause.</summary>
    public long RefusedTryRents { get; init; }

    /// <summary>Rents that threw because of <see cref="ExhaustionCause.Limit"/>.</summary>
    public long FailedByLimit { get; init; }

    /// <summary>Rents that threw because of <see cref="ExhaustionCause.Fragmented"/>.</summary>
    public long FailedByFragmentation { get; init; }

    /// <summary>Rents that threw because of <see cref="ExhaustionCause.Pending"/>.</summary>
    public long FailedByPending { get; init; }

    /// <summary>Rents that threw because of <see cref="ExhaustionCause.NoMemory"/>.</summary>
    public long FailedByNoMemory { get; init; }

    /// <summary>Rents that threw for another reason than room: the pool did not work, or was disposed. Bad arguments are not counted.</summary>
    public long FailedByError { get; init; }
}
