namespace LpLlm.Memory.Pooling;

/// <summary>How a memory source failed last. It is not asked again for a second: each try may populate the memory before it is refused.</summary>
internal sealed class RefusalMemory<T>(TimeProvider time)
    where T : PinnedMemoryException
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private T? _refusal;
    private long _refusedAt;

    /// <summary>The refusal, while it is fresh.</summary>
    public T? Fresh =>
        Volatile.Read(ref _refusal) is { } refusal && time.GetElapsedTime(Volatile.Read(ref _refusedAt)) < Interval ? refusal : null;

    public void Remember(T refusal)
    {
        Volatile.Write(ref _refusedAt, time.GetTimestamp());
        Volatile.Write(ref _refusal, refusal);
    }

    public void Forget() => Volatile.Write(ref _refusal, null);
}
