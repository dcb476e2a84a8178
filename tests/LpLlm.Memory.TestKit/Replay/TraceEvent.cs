namespace LpLlm.Memory.TestKit.Replay;

/// <summary>One event of a trace.</summary>
/// <param name="Sequence">Its number, from 1.</param>
/// <param name="Thread">The traced thread.</param>
/// <param name="Operation">What happened.</param>
/// <param name="Lease">The lease, from 1; 0 for a failure.</param>
/// <param name="LengthBytes">Bytes asked for.</param>
/// <param name="AlignmentBytes">Alignment asked for; 0 for a return.</param>
public readonly record struct TraceEvent(
    long Sequence, int Thread, TraceOperation Operation, int Lease, long LengthBytes, int AlignmentBytes);
