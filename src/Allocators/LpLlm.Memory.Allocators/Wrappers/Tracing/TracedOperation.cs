namespace LpLlm.Memory.Wrappers.Tracing;

/// <summary>What happened; <see cref="TraceFormat"/> names them in this order.</summary>
internal enum TracedOperation
{
    Rent,
    RentAsync,
    Fail,
    Return,
    ReturnAfter,
    End,
}
