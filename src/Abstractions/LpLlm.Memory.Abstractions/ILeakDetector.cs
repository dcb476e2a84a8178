namespace LpLlm.Memory;

/// <summary>What leak detection knows about a pool. A keyed service under the pool's name. Thread-safe.</summary>
public interface ILeakDetector
{
    /// <summary>The leases that are out now, oldest first, dropped ones included.</summary>
    IReadOnlyList<LiveLeaseReport> GetLiveLeases();

    /// <summary>The faults found so far, oldest first: the first 1,000. All of them are in the log.</summary>
    IReadOnlyList<LeaseFault> GetFaults();
}
