namespace LpLlm.Memory.TestKit;

/// <summary>A step in a stream's queue; which members are set depends on its kind.</summary>
/// <param name="Operation">What tests see of it.</param>
internal sealed record SimulatedWork(SimulatedOperation Operation)
{
    public SimulatedCopy? Copy { get; init; }

    public SimulatedBuffer? Buffer { get; init; }

    /// <summary>The fence to wait for.</summary>
    public SimulatedFence? After { get; init; }

    /// <summary>The fence to complete.</summary>
    public SimulatedFence? Fence { get; init; }
}
