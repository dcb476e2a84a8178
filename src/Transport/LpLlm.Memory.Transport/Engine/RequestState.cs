namespace LpLlm.Memory.Transport.Engine;

/// <summary>How far a request for memory is.</summary>
internal enum RequestState
{
    /// <summary>In the queue.</summary>
    Waiting,

    /// <summary>Has its room; segments are being discarded and made for it.</summary>
    Making,

    /// <summary>Its segments are in the lease.</summary>
    Granted,

    /// <summary>Failed, cancelled or withdrawn.</summary>
    Ended,
}
