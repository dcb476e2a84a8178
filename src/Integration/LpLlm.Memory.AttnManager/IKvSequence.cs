namespace LpLlm.Memory.Attention;

/// <summary>The keys and values of one token sequence. Used by one request at a time. Thread-safe.</summary>
/// <remarks>
/// Disposing it returns its pages: at once, or at the end of the request that is computing on them. A request that still
/// waits for its turn fails. A sequence holds at most 2^30 tokens; a request beyond that fails with <see cref="ArgumentException"/>.
/// </remarks>
public interface IKvSequence : IDisposable
{
    /// <summary>The cache the sequence belongs to.</summary>
    IKvCache Cache { get; }

    /// <summary>Tokens appended to a layer so far; layers run ahead of each other within one forward pass.</summary>
    /// <param name="layer">0 to <see cref="KvCacheShape.LayerCount"/> - 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such layer.</exception>
    int GetLength(int layer);

    /// <summary>Forgets the tokens from a position on, in every layer, and returns the pages that fall empty.</summary>
    /// <param name="length">Tokens to keep, 0 or more; a layer that is shorter stays as it is.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="length"/> is negative.</exception>
    /// <exception cref="InvalidOperationException">A request on the sequence has not ended.</exception>
    /// <exception cref="ObjectDisposedException">The sequence is disposed.</exception>
    void Truncate(int length);
}
