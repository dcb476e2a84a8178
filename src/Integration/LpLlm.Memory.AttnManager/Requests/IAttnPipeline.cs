namespace LpLlm.Memory.Attention;

/// <summary>
/// Brings accepted jobs to their end, in their order. Disposing, as often as one likes, accepts no more, fails what waits, and completes
/// when what has begun has ended.
/// </summary>
internal interface IAttnPipeline : IAsyncDisposable
{
    /// <summary>Queues a job; waits while the queue is full.</summary>
    /// <exception cref="ObjectDisposedException">The pipeline is disposed, or was while waiting.</exception>
    ValueTask EnqueueAsync(AttnJob job, CancellationToken cancellationToken);
}
