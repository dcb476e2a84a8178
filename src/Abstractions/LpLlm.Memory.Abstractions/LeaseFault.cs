namespace LpLlm.Memory;

/// <summary>Something that was done wrong with a lease.</summary>
public sealed record LeaseFault
{
    /// <summary>What it is.</summary>
    public required LeaseFaultKind Kind { get; init; }

    /// <summary>The pool that leak detection was added to.</summary>
    public required string PoolName { get; init; }

    /// <summary>Address of the lease's first byte.</summary>
    public required nint Address { get; init; }

    /// <summary>Length of the lease.</summary>
    public required long LengthBytes { get; init; }

    /// <summary>The first damaged byte, counted from the lease's first byte: negative before it. Null where none was damaged.</summary>
    public long? DamageOffsetBytes { get; init; }

    /// <summary>The renter's stack; null where stacks are not captured.</summary>
    public string? RentedAt { get; init; }

    /// <summary>The stack of the return; null where there was none yet, or stacks are not captured.</summary>
    public string? ReturnedAt { get; init; }

    /// <summary>For <see cref="LeaseFaultKind.DoubleReturn"/> the stack of the second return.</summary>
    public string? ReturnedAgainAt { get; init; }
}
