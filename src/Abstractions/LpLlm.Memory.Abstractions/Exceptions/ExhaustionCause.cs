namespace LpLlm.Memory;

/// <summary>Why a pool had no room.</summary>
public enum ExhaustionCause
{
    /// <summary>Used bytes and the request together exceed the capacity, or the request alone exceeds the largest block.</summary>
    Limit,

    /// <summary>Enough bytes are free, but no free range is long enough.</summary>
    Fragmented,

    /// <summary>The bytes exist but wait for fences.</summary>
    Pending,

    /// <summary>The source has no more memory to give, below the pool's own limit.</summary>
    NoMemory,
}
