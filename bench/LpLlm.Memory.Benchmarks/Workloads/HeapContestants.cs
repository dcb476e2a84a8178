using LpLlm.Memory.Benchmarks.Contestants;
using LpLlm.Memory.Benchmarks.Workloads.Catalogue;
using LpLlm.Memory.Benchmarks.Workloads.Heaps;
using LpLlm.Memory.Benchmarks.Workloads.Running;
using LpLlm.Memory.Tlsf;

namespace LpLlm.Memory.Benchmarks.Workloads;

/// <summary>Who runs a case: PinnedPool first, since ratios are to it; the script alone last.</summary>
internal sealed class HeapContestants
{
    private readonly List<HeapContestant> _native = [new PeerContestant<AlignedAllocAdapter, nint>("NativeMemory.AlignedAlloc", default)];

    public HeapContestants()
    {
        if (PeerLibrary.TryOpen(MimallocAdapter.LibraryName, out var mimalloc))
        {
            _native.Add(new PeerContestant<MimallocAdapter, nint>("mimalloc", new(mimalloc)));
        }

        if (PeerLibrary.TryOpen(JemallocAdapter.LibraryName, out var jemalloc))
        {
            _native.Add(new PeerContestant<JemallocAdapter, nint>("jemalloc", new(jemalloc)));
        }
    }

    public IReadOnlyList<HeapContestant> For(WorkloadCase workloadCase)
    {
        var all = new List<HeapContestant>
        {
            new PoolContestant<PoolHeap, LeaseBlock>("PinnedPool", PoolHeap.OpenPinnedPool, TlsfAllocator.UnitSize),
        };
        if (workloadCase.Peers.HasFlag(Peers.FixedBlocks))
        {
            var blockBytes = workloadCase.BlockBytes;
            all.Add(new PoolContestant<PoolHeap, LeaseBlock>(
                "FixedBlockPool", capacityBytes => PoolHeap.OpenFixedBlockPool(capacityBytes, blockBytes), blockBytes));
        }

        if (workloadCase.Threads == 1)
        {
            all.Add(new PoolContestant<TlsfHeap, BlockHandle>("TlsfAllocator", TlsfHeap.Open, TlsfAllocator.UnitSize));
        }

        if (workloadCase.Peers.HasFlag(Peers.ArrayPool))
        {
            all.Add(new PeerContestant<ArrayPoolAdapter, ArrayBlock>("ArrayPool.Shared", default));
        }

        if (workloadCase.Peers.HasFlag(Peers.Native))
        {
            all.AddRange(_native);
        }

        all.Add(new PeerContestant<NoHeap, nint>("(script alone)", default));
        return all;
    }
}
