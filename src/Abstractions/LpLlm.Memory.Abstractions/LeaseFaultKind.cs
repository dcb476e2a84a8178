namespace LpLlm.Memory;

/// <summary>What was done wrong with a lease.</summary>
public enum LeaseFaultKind
{
    /// <summary>Bytes before the lease were written. Found when it is returned.</summary>
    Underrun = 0,

    /// <summary>Bytes behind the lease were written. Found when it is returned.</summary>
    Overrun,

    /// <summary>The memory was written after the return. Found when the block leaves the quarantine.</summary>
    WriteAfterReturn,

    /// <summary>The lease was returned a second time. That had no effect.</summary>
    DoubleReturn,

    /// <summary>The lease object became unreachable without a return. Its memory stays rented: a device may still use it.</summary>
    Dropped,

    /// <summary>The pool was disposed while the lease was out.</summary>
    LiveAtDisposal,
}
