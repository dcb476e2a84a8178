namespace LpLlm.Memory.Transport.Grpc.Storage;

/// <summary>The chunks of one client's segment, and which of them its allocations have. Not thread-safe.</summary>
internal sealed class ChunkSet(int chunkCount)
{
    private readonly SortedSet<int> _free = [.. Enumerable.Range(0, chunkCount)];
    private readonly Dictionary<int, int[]> _allocations = [];
    private int _lastId;

    public int ChunkCount { get; } = chunkCount;

    public int FreeCount => _free.Count;

    /// <summary>Takes the lowest free chunks; null if there are too few.</summary>
    public (int Id, int[] Chunks)? Allocate(long count)
    {
        if (count > _free.Count)
        {
            return null;
        }

        var chunks = _free.Take((int)count).ToArray();
        _free.ExceptWith(chunks);

        // Ids start over after 2^31: by then the early ones are long free, or are skipped.
        do
        {
            _lastId = _lastId == int.MaxValue ? 1 : _lastId + 1;
        }
        while (!_allocations.TryAdd(_lastId, chunks));

        return (_lastId, chunks);
    }

    public bool Free(int id)
    {
        if (!_allocations.Remove(id, out var chunks))
        {
            return false;
        }

        _free.UnionWith(chunks);
        return true;
    }

    /// <summary>The chunks of an allocation in order, or null if there is no such.</summary>
    public IReadOnlyList<int>? Find(int id) => _allocations.GetValueOrDefault(id);
}
