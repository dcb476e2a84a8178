namespace LpLlm.Memory;

/// <summary>CUDA's driver refused a call, or reported that work which was enqueued earlier has failed.</summary>
public sealed class CudaException : PinnedMemoryException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="operation">The call that failed, with its values, for example <c>cuMemAlloc of 1024 B</c>.</param>
    /// <param name="errorCode">The driver's code.</param>
    /// <param name="errorName">Name of the code, for example <c>CUDA_ERROR_OUT_OF_MEMORY</c>.</param>
    /// <param name="errorText">What the driver says about it.</param>
    /// <param name="remedy">What the operator can do, as a sentence.</param>
    /// <param name="innerException">The cause, if another exception was it.</param>
    public CudaException(string operation, int errorCode, string errorName, string errorText, string remedy, Exception? innerException = null)
        : base($"{operation} failed with {errorName} ({errorCode}: {errorText}). {remedy}", innerException)
    {
        Operation = operation;
        ErrorCode = errorCode;
        ErrorName = errorName;
        ErrorText = errorText;
        Remedy = remedy;
    }

    /// <summary>The call that failed.</summary>
    public string Operation { get; }

    /// <summary>The driver's code.</summary>
    public int ErrorCode { get; }

    /// <summary>Name of the code.</summary>
    public string ErrorName { get; }

    /// <summary>What the driver says about it.</summary>
    public string ErrorText { get; }

    /// <summary>What the operator can do.</summary>
    public string Remedy { get; }

    /// <summary>True when memory ran out: others may free some.</summary>
    public override bool IsTransient => ErrorCode == CudaError.OutOfMemory;
}
