using LpLlm.Memory.Benchmarks.Workloads.Scripts;

namespace LpLlm.Memory.Benchmarks.Workloads.Catalogue;

/// <summary>ServerlessLLM, sllm_store's tests of its pinned memory pool: chunks of 4 MiB.</summary>
internal static class SllmChunk
{
    private const long ChunkBytes = 4 << 20;
    private const int Chunks = 256;
    private const int Takers = 100;

    public static Workload Workload { get; } = new(
        "sllm-chunk",
        "ServerlessLLM chunks: a pool of 256 x 4 MiB; one taker takes all and returns all, or 100 takers at once take two and return two each.",
        "A step takes or returns one chunk. 100 takers never want more than 200 chunks, so any failure would be false; their ns is what a step "
        + "takes each of them, waiting for one of the processors included. ArrayPool.Shared is left out: 1 GiB of cleared arrays.",
        length =>
        [
            Create("1 taker of 256", 1, Chunks, length.Scaled(400)),
            Create("100 takers of 2", Takers, 2, length.Scaled(2000)),
        ]);

    private static WorkloadCase Create(string name, int threads, int chunks, int repetitions)
    {
        var writer = new ScriptWriter();
        Step[] Turn() => [.. writer.Allocate(chunks, _ => ChunkBytes), .. writer.Free(chunks)];
        return new WorkloadCase(name, new Script(Chunks * ChunkBytes, [
            new Phase(null, Turn()),
            new Phase("", [.. Enumerable.Range(0, repetitions).SelectMany(_ => Turn())])]))
        {
            Threads = threads,
            BlockBytes = ChunkBytes,
            Peers = Peers.Native | Peers.FixedBlocks,
        };
    }
}
