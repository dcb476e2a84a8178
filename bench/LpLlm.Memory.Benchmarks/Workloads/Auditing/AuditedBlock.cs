namespace LpLlm.Memory.Benchmarks.Workloads.Auditing;

internal readonly record struct AuditedBlock<TBlock>(TBlock Inner, long LengthBytes)
    where TBlock : struct;
