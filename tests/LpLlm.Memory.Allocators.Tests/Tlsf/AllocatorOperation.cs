namespace LpLlm.Memory.Tests.Tlsf;

/// <summary>One step of a random run: take a block, or give back one of those held.</summary>
/// <param name="IsFree">Gives back when anything is held.</param>
/// <param name="LengthBytes">Length to take.</param>
/// <param name="AlignmentBytes">Alignment to take it at.</param>
/// <param name="Victim">Which one to give back, modulo the number held.</param>
public sealed record AllocatorOperation(bool IsFree, long LengthBytes, int AlignmentBytes, int Victim);
