namespace LpLlm.Memory;

/// <summary>A lease that is out.</summary>
/// <param name="PoolName">The pool that leak detection was added to.</param>
/// <param name="Address">Address of the first byte.</param>
/// <param name="LengthBytes">Length as rented.</param>
/// <param name="Age">Time since it was rented.</param>
/// <param name="ThreadId">Managed id of the thread that rented it.</param>
/// <param name="RentedAt">The renter's stack; null where stacks are not captured.</param>
/// <param name="IsDropped">Whether nobody can return it any more: the garbage collector found the lease object unreachable.</param>
public sealed record LiveLeaseReport(
    string PoolName, nint Address, long LengthBytes, TimeSpan Age, int ThreadId, string? RentedAt, bool IsDropped);
