namespace LpLlm.Memory.Attention;

/// <summary>What a sequence is doing.</summary>
internal enum SequenceUse
{
    /// <summary>In no request.</summary>
    Idle,

    /// <summary>In a request that waits; its pages are not being read.</summary>
    Queued,

    /// <summary>In the request that is being computed; its pages must stay.</summary>
    Running,
}
