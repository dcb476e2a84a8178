using LpLlm.Memory.Devices;

namespace LpLlm.Memory.Models;

/// <summary>Models in a pool of this process.</summary>
internal sealed class LocalModelStore(ModelCatalog catalog) : IModelStore, IAsyncDisposable, IDisposable
{
    private readonly DeviceCopiers _copiers = new();

    public async ValueTask<ModelHandle> OpenAsync(string model, CancellationToken cancellationToken = default)
    {
        var use = await catalog.UseAsync(model, RentPriority.Normal, cancellationToken);
        try
        {
            var tensors = await use.GetTensorsAsync(cancellationToken);
            var address = use.Allocation.Extents.Single().Address;
            return new ModelHandle(model, address, use.LengthBytes, use.Allocation.Capabilities, tensors, use)
            {
                Copier = new DirectModelCopier(address, _copiers),
            };
        }
        catch
        {
            use.Dispose();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await catalog.DisposeAsync();
        _copiers.Dispose();
    }

    /// <summary>Waits for reads that run: a part each, which is some 10 ms of a disk.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();
}
