using LpLlm.Memory.Models;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Models;

namespace LpLlm.Memory.Daemon.Models;

/// <summary>The store's copies in device memory, as the protocols see them.</summary>
internal sealed class ServedReplicas(ModelReplicas replicas) : IModelReplicas
{
    public async ValueTask StartAsync(ReplicaRequest request, CancellationToken cancellationToken)
    {
        try
        {
            await replicas.StartAsync(request, cancellationToken).ConfigureAwait(false);
        }
        catch (InvalidOperationException duplicate) when (duplicate is not ObjectDisposedException)
        {
            throw new PoolFaultException(PoolFaultCode.AlreadyExists, duplicate.Message);
        }
        catch (ModelStoreException failure) when (failure.Fault is ModelStoreFault.DeviceFailed or ModelStoreFault.NoRoom)
        {
            throw ModelFaults.ToFault(failure);
        }
    }

    public async ValueTask ConfirmAsync(string model, string replica, CancellationToken cancellationToken)
    {
        try
        {
            await replicas.GetDevicesAsync(model, cancellationToken).ConfigureAwait(false);
        }
        catch (ModelStoreException failure)
        {
            throw ModelFaults.ToFault(failure); // without a device there never was a copy: not a failure of one
        }

        await replicas.ConfirmAsync(model, replica, cancellationToken).ConfigureAwait(false);
    }
}
