namespace LpLlm.Memory.Attention;

/// <summary>Runs attention on KV caches that live in a pinned memory pool.</summary>
/// <remarks>
/// Thread-safe. Requests are computed in the order they are accepted; each has its own task and its own failure.
/// Disposing finishes the request that is being computed, fails those that wait, and frees every cache; the pool and the
/// results stay their owners'. Disposing twice is a no-op.
/// </remarks>
public interface IAttnManager : IDisposable, IAsyncDisposable
{
    /// <summary>The pool that holds the KV pages and the results.</summary>
    IPinnedMemoryPool Pool { get; }

    /// <summary>Describes a KV cache; takes no memory until tokens are appended.</summary>
    /// <param name="shape">Layers, KV heads, head size and element type of the model.</param>
    /// <exception cref="ArgumentException">A number is out of range, or one page would exceed <see cref="AttnManagerOptions.ChunkSize"/>.</exception>
    /// <exception cref="ObjectDisposedException">The manager is disposed.</exception>
    IKvCache CreateCache(KvCacheShape shape);

    /// <summary>
    /// Appends the new keys and values of one layer to their sequences, then attends: each new token sees every earlier
    /// token of its sequence and itself (a causal mask aligned to the right end of the cache).
    /// </summary>
    /// <param name="request">The batch: any mixture of prefill, continued prefill and decode.</param>
    /// <param name="cancellationToken">Takes the request back as long as it has not begun.</param>
    /// <returns>
    /// This request's own result, a tensor <c>[tokens, query heads, head dimension]</c> in pool memory that the caller disposes.
    /// A request that fails, for misuse too, faults its task, keeps no memory, and leaves its sequences as they were.
    /// The same tokens give the same result to the bit, however they are cut into batches and chunks.
    /// </returns>
    /// <exception cref="ArgumentException">Lengths do not fit each other, or a sequence is another manager's, disposed, or named twice.</exception>
    /// <exception cref="InvalidOperationException">A sequence is in another request that has not ended.</exception>
    /// <exception cref="PinnedMemoryExhaustedException">The pool, or <see cref="AttnManagerOptions.PoolSize"/>, has no room for the new pages or the result.</exception>
    /// <exception cref="OperationCanceledException">The token fired before the request began.</exception>
    /// <exception cref="ObjectDisposedException">The manager is disposed.</exception>
    Task<PinnedTensor<float>> SubmitAsync(AttnRequest request, CancellationToken cancellationToken = default);
}
