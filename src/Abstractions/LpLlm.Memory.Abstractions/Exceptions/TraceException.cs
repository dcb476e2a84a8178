namespace LpLlm.Memory;

/// <summary>The trace of a pool could not be written. The pool itself works without it.</summary>
public sealed class TraceException : PinnedMemoryException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="poolName">Name of the traced pool.</param>
    /// <param name="path">The file.</param>
    /// <param name="problem">What failed, as the end of a sentence.</param>
    /// <param name="innerException">What the file system said.</param>
    public TraceException(string poolName, string path, string problem, Exception? innerException = null)
        : base($"The trace of pool '{poolName}' to '{path}' is not whole: {problem}. Check the path and the free space, or remove AddTracing.", innerException)
    {
        PoolName = poolName;
        Path = path;
    }

    /// <summary>The file.</summary>
    public string Path { get; }
}
