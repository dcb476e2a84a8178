using LpLlm.Memory.Benchmarks;
using LpLlm.Memory.Benchmarks.Contestants;

// jemalloc can be loaded only by a process that was started for it, so that comes before everything else.
return StaticTlsRestart.TryRun(args) ?? Commands.Create().Parse(args).Invoke();
