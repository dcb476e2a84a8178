using LpLlm.Memory.Models;

namespace LpLlm.Memory.Transport.Models;

/// <summary>Copies of models in the device memory of clients, which the server writes. Thread-safe.</summary>
internal interface IModelReplicas
{
    /// <summary>Checks a request and begins to carry it out. How it ends <see cref="ConfirmAsync"/> tells.</summary>
    /// <exception cref="PoolFaultException">The request is wrong, or names a device that is not there.</exception>
    ValueTask StartAsync(ReplicaRequest request, CancellationToken cancellationToken);

    /// <summary>Waits for a copy that is being written, or tells at once how it ended.</summary>
    /// <exception cref="PoolFaultException">There is no such copy, or it failed.</exception>
    ValueTask ConfirmAsync(string model, string replica, CancellationToken cancellationToken);
}
