using LpLlm.Memory.Pooling;

namespace LpLlm.Memory.Benchmarks.Contestants;

/// <summary>Our pool, first, and every peer that this machine has.</summary>
internal sealed class ContestantList : IDisposable
{
    private readonly PinnedPool _pool;

    private ContestantList(PinnedPool pool, IReadOnlyList<Contestant> all)
    {
        _pool = pool;
        All = all;
    }

    /// <summary>The pool is at index 0: ratios are to it.</summary>
    public IReadOnlyList<Contestant> All { get; }

    /// <param name="poolBytes">How large our pool is, all of it in one slab.</param>
    /// <param name="withArrayPool">Off where blocks are so many that the array pool would keep none of them.</param>
    public static ContestantList Open(long poolBytes, bool withArrayPool)
    {
        var pool = BenchmarkPool.Open(poolBytes);
        var all = new List<Contestant> { new AdapterContestant<PinnedPoolAdapter, LeaseBlock>("PinnedPool", new(pool)) };
        if (withArrayPool)
        {
            all.Add(new AdapterContestant<ArrayPoolAdapter, ArrayBlock>("ArrayPool.Shared", default));
        }

        all.Add(new AdapterContestant<AlignedAllocAdapter, nint>("NativeMemory.AlignedAlloc", default));
        if (PeerLibrary.TryOpen(MimallocAdapter.LibraryName, out var mimalloc))
        {
            all.Add(new AdapterContestant<MimallocAdapter, nint>("mimalloc", new(mimalloc)));
        }

        if (PeerLibrary.TryOpen(JemallocAdapter.LibraryName, out var jemalloc))
        {
            all.Add(new AdapterContestant<JemallocAdapter, nint>("jemalloc", new(jemalloc)));
        }

        return new ContestantList(pool, all);
    }

    public void Dispose() => _pool.Dispose();
}
