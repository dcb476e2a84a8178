namespace LpLlm.Memory;

/// <summary>What a pool needs to take a lease back; opaque to everybody else.</summary>
/// <param name="Address">Address of the first byte.</param>
/// <param name="LengthBytes">Length as rented.</param>
/// <param name="Token">The owner's own key for the block.</param>
/// <param name="Tag">A second key of the owner's.</param>
/// <param name="State">An object of the owner's, for example the inner lease of a wrapper.</param>
public readonly record struct LeasedBlock(nint Address, long LengthBytes, long Token, int Tag = 0, object? State = null);
