namespace LpLlm.Memory.Attention;

/// <summary>Runs attention on KV caches that live in a pinned memory pool.</summary>
/// <remarks>
/// Thread-safe. Requests are computed in the order they are accepted; each has its own task and its own failure.
/// Disposing finishes the requests that have begun, fails those that wait, and frees every cache; the pool and the
/// results stay their owners'. Copies of a device that have not arrived after 5 s are given up: their requests fail, and their memory goes
/// back to the pool behind them. Disposing twice is a no-op.
/// </remarks>
public interface IAttnManager : IDisposable, IAsyncDisposable
{
    /// <summary>The pool that holds the KV pages and the results.</summary>
    IPinnedMemoryPool Pool { get; }

    /// <summary>The device whose tensors can be submitted; null where <see cref="AttnManagerOptions.Device"/> is <c>cpu</c>.</summary>
    IMemoryDevice? Device { get; }

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

    /// <summary>
    /// The same for tensors in a device's memory: they are copied to the host, attended there, and the result is copied to the device,
    /// while the requests before and behind are in the other two of these stages. No thread waits for a copy, but for the pool's fence timeout (0.1 s) where
    /// the pool is full behind fences.
    /// </summary>
    /// <param name="request">The batch, and what the device's work before and behind it is.</param>
    /// <param name="cancellationToken">
    /// Takes the request back until its computation begins. A device cannot be stopped: copies that are under way are waited for before
    /// the task completes.
    /// </param>
    /// <returns>
    /// A fence, as soon as the copy of the result is enqueued: the result is there when the fence has completed. Its event is valid until
    /// the manager is disposed. A request that fails, for misuse too, faults its task, keeps no memory, and leaves its sequences as they
    /// were; what the device reports about the last copy is the fence's failure. Pages that a failed copy was to fill are never used again, as the
    /// device may still write there: a sequence that has such a page stays in use, and should be disposed.
    /// </returns>
    /// <exception cref="ArgumentException">Lengths do not fit each other, or a sequence is another manager's, disposed, or named twice.</exception>
    /// <exception cref="InvalidOperationException">A sequence is in another request that has not ended, or <see cref="Device"/> is null.</exception>
    /// <exception cref="PinnedMemoryExhaustedException">The pool, or <see cref="AttnManagerOptions.PoolSize"/>, has no room for the new pages, the copies or the result.</exception>
    /// <exception cref="PinnedMemoryException">The device refused, or a copy failed.</exception>
    /// <exception cref="OperationCanceledException">The token fired before the computation began.</exception>
    /// <exception cref="ObjectDisposedException">The manager is disposed.</exception>
    Task<IDeviceFence> SubmitAsync(AttnDeviceRequest request, CancellationToken cancellationToken = default);
}
