namespace LpLlm.Memory.Models;

/// <summary>Models in a pool of this process.</summary>
internal sealed class LocalModelStore(ModelCatalog catalog) : IModelStore, IAsyncDisposable, IDisposable
{
    public async ValueTask<ModelHandle> OpenAsync(string model, CancellationToken cancellationToken = default)
    {
        var use = await catalog.UseAsync(model, RentPriority.Normal, cancellationToken);
        try
        {
            var tensors = await use.GetTensorsAsync(cancellationToken);
            return new ModelHandle(model, use.Allocation.Extents.Single().Address, use.LengthBytes, use.Allocation.Capabilities, tensors, use);
        }
        catch
        {
            use.Dispose();
            throw;
        }
    }

    public ValueTask DisposeAsync() => catalog.DisposeAsync();

    /// <summary>Waits for reads that run: a part each, which is some 10 ms of a disk.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();
}
