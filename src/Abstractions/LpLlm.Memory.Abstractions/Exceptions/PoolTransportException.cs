namespace LpLlm.Memory;

/// <summary>Base of the failures between a client and the pool server.</summary>
public abstract class PoolTransportException : PinnedMemoryException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="endPoint">The server's address, as configured.</param>
    /// <param name="message">What failed and what to do.</param>
    /// <param name="innerException">The cause, if another exception was it.</param>
    protected PoolTransportException(string endPoint, string message, Exception? innerException = null)
        : base($"{message} (end point {endPoint})", innerException) => EndPoint = endPoint;

    /// <summary>The server's address, as configured.</summary>
    public string EndPoint { get; }
}
