namespace LpLlm.Memory.Transport.Engine;

/// <summary>An entry of the engine's event log.</summary>
/// <param name="Sequence">Counts all events since the start; gaps show what the ring has dropped.</param>
/// <param name="Timestamp">Of the engine's <see cref="TimeProvider"/>: monotonic.</param>
/// <param name="Kind">A word: acquired, grown, shrunk, released, refused, trim, revoked, detached, resumed, exited, expired, quarantined, reclaimed, discarded, restored.</param>
/// <param name="LeaseId">0 where it concerns none.</param>
/// <param name="LengthBytes">Bytes it concerns.</param>
/// <param name="Text">For people.</param>
internal sealed record EventRecord(ulong Sequence, long Timestamp, string Kind, ulong LeaseId, long LengthBytes, string Text);
