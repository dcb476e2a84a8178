namespace LpLlm.Memory.Benchmarks.Creation;

internal readonly record struct CreationSample(double CreateMilliseconds, double DestroyMilliseconds);
