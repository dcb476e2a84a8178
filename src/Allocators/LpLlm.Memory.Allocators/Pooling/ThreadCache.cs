namespace LpLlm.Memory.Pooling;

/// <summary>
/// What one thread keeps of one pool's free blocks. The gate is the owner's alone in ordinary times, so entering costs one uncontended
/// locked instruction (2 ns); a thread that must see all memory takes it from outside.
/// </summary>
internal abstract class ThreadCache
{
    private SpinGate _gate;

    /// <summary>The <see cref="ThreadCaches{TCache}"/> this belongs to: slots are reused by later pools.</summary>
    public object? Set { get; set; }

    /// <summary>Runs when the owner's thread has ended; any thread.</summary>
    public Action? OwnerExited { get; set; }

    public void Enter() => _gate.Enter();

    public void Exit() => _gate.Exit();
}
