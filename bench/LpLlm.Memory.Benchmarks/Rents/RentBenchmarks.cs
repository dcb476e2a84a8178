using BenchmarkDotNet.Attributes;
using LpLlm.Memory.Benchmarks.Contestants;
using LpLlm.Memory.Pooling;

namespace LpLlm.Memory.Benchmarks.Rents;

/// <summary>Rent, touch and dispose on one thread. Public and not sealed because BenchmarkDotNet derives from it.</summary>
[MemoryDiagnoser]
public class RentBenchmarks
{
    private const long PoolBytes = 64L << 20;

    private PinnedPool? _pool;
    private PinnedPoolAdapter _pinnedPool;
    private FixedBlockPool? _blocks;
    private PinnedPoolAdapter _fixedBlockPool;
    private LeaseOnlyAdapter _leaseOnly;
    private MimallocAdapter _mimalloc;
    private JemallocAdapter _jemalloc;

    [Params(4 << 10, 64 << 10, 1 << 20)]
    public long LengthBytes { get; set; }

    [GlobalSetup(Targets = [nameof(PinnedPool)])]
    public void OpenPool()
    {
        _pool = BenchmarkPool.Open(PoolBytes);
        _pinnedPool = new PinnedPoolAdapter(_pool);
    }

    [GlobalCleanup(Targets = [nameof(PinnedPool)])]
    public void ClosePool() => _pool!.Dispose();

    [GlobalSetup(Targets = [nameof(FixedBlockPool)])]
    public void OpenFixedBlockPool()
    {
        _blocks = BenchmarkPool.OpenFixedBlocks(PoolBytes, LengthBytes);
        _fixedBlockPool = new PinnedPoolAdapter(_blocks);
    }

    [GlobalCleanup(Targets = [nameof(FixedBlockPool)])]
    public void CloseFixedBlockPool() => _blocks!.Dispose();

    [GlobalSetup(Targets = [nameof(LeaseOnly)])]
    public void CreateOwner() => _leaseOnly = new LeaseOnlyAdapter(new NoOwner());

    [GlobalSetup(Targets = [nameof(Mimalloc)])]
    public void OpenMimalloc() => _mimalloc = PeerLibrary.TryOpen(MimallocAdapter.LibraryName, out var library) ? new(library) : default;

    [GlobalSetup(Targets = [nameof(Jemalloc)])]
    public void OpenJemalloc() => _jemalloc = PeerLibrary.TryOpen(JemallocAdapter.LibraryName, out var library) ? new(library) : default;

    [Benchmark(Baseline = true)]
    public void PinnedPool() => _pinnedPool.Return(_pinnedPool.Rent(LengthBytes));

    [Benchmark]
    public void FixedBlockPool() => _fixedBlockPool.Return(_fixedBlockPool.Rent(LengthBytes));

    /// <summary>What is in every pool's figure: the object, made and disposed.</summary>
    [Benchmark]
    public void LeaseOnly() => _leaseOnly.Return(_leaseOnly.Rent(LengthBytes));

    [Benchmark]
    public void ArrayPool()
    {
        ArrayPoolAdapter arrayPool = default;
        arrayPool.Return(arrayPool.Rent(LengthBytes));
    }

    [Benchmark]
    public void AlignedAlloc()
    {
        AlignedAllocAdapter alignedAlloc = default;
        alignedAlloc.Return(alignedAlloc.Rent(LengthBytes));
    }

    [Benchmark]
    public void Mimalloc() => _mimalloc.Return(_mimalloc.Rent(LengthBytes));

    [Benchmark]
    public void Jemalloc() => _jemalloc.Return(_jemalloc.Rent(LengthBytes));
}
