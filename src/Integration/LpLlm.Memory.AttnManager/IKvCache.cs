namespace LpLlm.Memory.Attention;

/// <summary>A paged KV cache. Disposing it frees all of its sequences. Thread-safe.</summary>
public interface IKvCache : IDisposable
{
    /// <summary>What the cache was created for.</summary>
    KvCacheShape Shape { get; }

    /// <summary>Tokens a page holds.</summary>
    int PageTokens { get; }

    /// <summary>Bytes of one page: keys and values of <see cref="PageTokens"/> tokens in every layer.</summary>
    long PageBytes { get; }

    /// <summary>Pages rented from the pool now, by all sequences together.</summary>
    int PageCount { get; }

    /// <summary>Starts an empty sequence.</summary>
    /// <exception cref="ObjectDisposedException">The cache is disposed.</exception>
    IKvSequence CreateSequence();
}
