namespace LpLlm.Memory.Tests.FixedBlock;

/// <summary>One call on a pool of fixed blocks, as its caller saw it.</summary>
/// <param name="Invoked">Tick at which the call began.</param>
/// <param name="Answered">Tick at which it had ended; between the two it took effect.</param>
/// <param name="IsReturn">Whether it gave <paramref name="Blocks"/> back; else it took them.</param>
/// <param name="Blocks">The blocks, one bit each; none: a rent that found no room.</param>
/// <param name="Count">How many blocks were asked for.</param>
public sealed record HistoryOperation(long Invoked, long Answered, bool IsReturn, int Blocks, int Count);
