namespace LpLlm.Memory.Benchmarks.Contestants;

internal readonly record struct LeaseBlock(PinnedLease Lease);
