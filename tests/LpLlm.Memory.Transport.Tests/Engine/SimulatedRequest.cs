using LpLlm.Memory.Transport.Engine;

namespace LpLlm.Memory.Transport;

/// <summary>A request of a simulated client, and its one outcome.</summary>
internal sealed class SimulatedRequest(SimulatedClient client, ulong? leaseId, AcquireOptions options, CancellationTokenSource cancellation, Task<LeaseGrant> answer)
{
    public SimulatedClient Client { get; } = client;

    public ulong? LeaseId { get; } = leaseId;

    public AcquireOptions Options { get; } = options;

    public CancellationTokenSource Cancellation { get; } = cancellation;

    public Task<LeaseGrant> Answer { get; } = answer;

    public bool IsSeen { get; set; }
}
