namespace LpLlm.Memory;

/// <summary>The system refused memory, refused to page-lock it, or refused to take it back.</summary>
public sealed class MemorySourceException : PinnedMemoryException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="operation">The call that failed, for example <c>mlock</c>.</param>
    /// <param name="nativeErrorCode">Its error number, or 0 where the refusal was our own check.</param>
    /// <param name="nativeErrorName">Name of the error, for example <c>ENOMEM</c>.</param>
    /// <param name="requestedBytes">Bytes asked of that call.</param>
    /// <param name="limitBytes">The limit that stood in the way, where one is known.</param>
    /// <param name="remedy">What the operator can do, as a sentence.</param>
    /// <param name="innerException">The cause, if another exception was it.</param>
    public MemorySourceException(
        string operation,
        int nativeErrorCode,
        string nativeErrorName,
        long requestedBytes,
        long? limitBytes,
        string remedy,
        Exception? innerException = null)
        : base(
            $"{operation} of {requestedBytes} B failed with {nativeErrorName} ({nativeErrorCode})"
            + (limitBytes is { } limit ? $"; the limit is {limit} B" : "") + $". {remedy}",
            innerException)
    {
        Operation = operation;
        NativeErrorCode = nativeErrorCode;
        NativeErrorName = nativeErrorName;
        RequestedBytes = requestedBytes;
        LimitBytes = limitBytes;
        Remedy = remedy;
    }

    /// <summary>The call that failed.</summary>
    public string Operation { get; }

    /// <summary>Its error number, or 0 where the refusal was our own check.</summary>
    public int NativeErrorCode { get; }

    /// <summary>Name of the error.</summary>
    public string NativeErrorName { get; }

    /// <summary>Bytes asked of that call.</summary>
    public long RequestedBytes { get; }

    /// <summary>The limit that stood in the way, where one is known.</summary>
    public long? LimitBytes { get; }

    /// <summary>What the operator can do.</summary>
    public string Remedy { get; }

    /// <summary>
    /// Bytes that stay mapped and counted until the process ends, because they could not be unpinned and a device may still use them;
    /// 0 (default) when everything was given back.
    /// </summary>
    public long QuarantinedBytes { get; init; }
}
