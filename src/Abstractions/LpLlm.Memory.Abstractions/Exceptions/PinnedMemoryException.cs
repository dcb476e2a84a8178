namespace LpLlm.Memory;

/// <summary>Base of the failures that the environment causes. Misuse throws the framework's own exceptions instead.</summary>
public abstract class PinnedMemoryException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">What failed, with values, and what to do.</param>
    /// <param name="innerException">The cause, if another exception was it.</param>
    protected PinnedMemoryException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }

    /// <summary>Name of the pool, where one is known.</summary>
    public string? PoolName { get; init; }

    /// <summary>Whether the same call can succeed later with nothing changed but the passage of time.</summary>
    public virtual bool IsTransient => false;
}
