namespace LpLlm.Memory.Benchmarks.Contestants;

internal readonly record struct ArrayBlock(byte[] Array);
