namespace LpLlm.Memory.Wrappers.Tracing;

/// <summary>One event on its way from a rent to the file: facts only, nothing formatted.</summary>
internal readonly record struct TraceRecord(
    TracedOperation Operation, int ThreadId, long Timestamp, nint Address, long LengthBytes, int AlignmentBytes);
