namespace LpLlm.Memory;

/// <summary>Why a lease came from the pool that served it.</summary>
public enum LeasePlacement
{
    /// <summary>It is the pool that was asked, or the first choice of a hybrid pool.</summary>
    FirstChoice = 0,

    /// <summary>A hybrid pool has a class of blocks of exactly this size.</summary>
    SizeClass,

    /// <summary>Fallback: every earlier member of a hybrid pool had no room. One that may grow and is refused the memory has none either.</summary>
    Exhausted,

    /// <summary>Fallback: an earlier member of a hybrid pool did not work, as one whose server is gone.</summary>
    Unavailable,
}
