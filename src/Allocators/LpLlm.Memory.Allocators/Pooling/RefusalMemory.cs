namespace LpLlm.Memory.Pooling;

/// <summary>What a memory source refused last. It is not asked again for a second: each try may populate the memory before it is refused.</summary>
internal sealed class RefusalMemory(TimeProvider time)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private MemorySourceException? _refusal;
    private long _refusedAt;

    /// <summary>The refusal, while it is fresh.</summary>
    public MemorySourceException? Fresh =>
        Volatile.Read(ref _refusal) is { } refusal && time.GetElapsedTime(Volatile.Read(ref _refusedAt)) < Interval ? refusal : null;

    public void Remember(MemorySourceException refusal)
    {
        Volatile.Write(ref _refusedAt, time.GetTimestamp());
        Volatile.Write(ref _refusal, refusal);
    }

    public void Forget() => Volatile.Write(ref _refusal, null);
}
