namespace LpLlm.Memory.Transport.Pipes;

/// <summary>What a frame is.</summary>
internal enum FrameKind : byte
{
    /// <summary>Client: a call.</summary>
    Request = 1,

    /// <summary>Server: the answer to a call, its last frame.</summary>
    Reply = 2,

    /// <summary>Server: the failure of a call, its last frame.</summary>
    Fault = 3,

    /// <summary>Server: one of a watch's events.</summary>
    Event = 4,

    /// <summary>Server: a watch's last frame.</summary>
    End = 5,

    /// <summary>Client: nobody waits for the call any longer.</summary>
    Cancel = 6,
}
