namespace LpLlm.Memory.Transport;

/// <summary>Why a call failed: the status codes of gRPC, on every transport.</summary>
public enum PoolFaultCode
{
    /// <summary>The caller cancelled.</summary>
    Cancelled = 1,

    /// <summary>Not known.</summary>
    Unknown = 2,

    /// <summary>The request is wrong whatever the server's state.</summary>
    InvalidArgument = 3,

    /// <summary>The time was over.</summary>
    DeadlineExceeded = 4,

    /// <summary>There is no such session, lease or segment, or it is not the caller's.</summary>
    NotFound = 5,

    /// <summary>It exists already.</summary>
    AlreadyExists = 6,

    /// <summary>The caller may not do this.</summary>
    PermissionDenied = 7,

    /// <summary>No memory, or a quota or limit is reached.</summary>
    ResourceExhausted = 8,

    /// <summary>The server or the lease is not in a state for it.</summary>
    FailedPrecondition = 9,

    /// <summary>It was overtaken, for example by a revocation.</summary>
    Aborted = 10,

    /// <summary>A number is outside its range.</summary>
    OutOfRange = 11,

    /// <summary>The server does not know the call.</summary>
    Unimplemented = 12,

    /// <summary>A defect of the server.</summary>
    Internal = 13,

    /// <summary>The server is going away or overloaded; a retry may help.</summary>
    Unavailable = 14,

    /// <summary>A token is missing or wrong.</summary>
    Unauthenticated = 16,
}
