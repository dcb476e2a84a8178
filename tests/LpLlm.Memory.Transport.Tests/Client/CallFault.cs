namespace LpLlm.Memory.Transport.Client;

/// <summary>What happens to a call on its way.</summary>
internal enum CallFault
{
    None,

    /// <summary>The connection ends before the server gets it.</summary>
    LostRequest,

    /// <summary>The server acts, then the connection ends.</summary>
    LostReply,

    /// <summary>The server acts, then finds that it cannot send the reply.</summary>
    RefusedReply,
}
