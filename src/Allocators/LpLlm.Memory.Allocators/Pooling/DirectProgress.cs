namespace LpLlm.Memory.Pooling;

/// <summary>Reports on the reporting thread; <see cref="Progress{T}"/> would reorder reports on the thread pool.</summary>
internal sealed class DirectProgress(Action<long> report) : IProgress<long>
{
    public void Report(long value) => report(value);
}
