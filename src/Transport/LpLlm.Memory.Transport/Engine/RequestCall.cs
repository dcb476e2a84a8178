namespace LpLlm.Memory.Transport.Engine;

/// <summary>One caller that awaits a request; a retry of a request that still waits adds another.</summary>
internal sealed class RequestCall
{
    // The caller must not go on inside the engine's thread.
    public TaskCompletionSource<LeaseGrant> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Null until it is enqueued.</summary>
    public LeaseRequest? Request { get; set; }

    /// <summary>Its token fired, or its answer is decided.</summary>
    public bool IsOver { get; set; }

    public CancellationTokenRegistration Registration { get; set; }
}
