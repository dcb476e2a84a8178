namespace LpLlm.Memory.Models;

/// <summary>Keeps a model in memory until it is disposed. Thread-safe; disposing twice is a no-op.</summary>
internal sealed class ModelUse : IDisposable
{
    private readonly ModelResidency _residency;
    private ModelCatalog? _catalog;

    /// <summary>Called when the load has begun, with the use already counted.</summary>
    public ModelUse(ModelCatalog catalog, ModelResidency residency) => (_catalog, _residency) = (catalog, residency);

    /// <summary>The model's path under the storage path.</summary>
    public string Model => _residency.Entry.Folder.Model;

    /// <summary>Length of the data; the memory may be longer.</summary>
    public long LengthBytes => _residency.LengthBytes;

    /// <summary>The memory.</summary>
    public ModelAllocation Allocation => _residency.Allocation!;

    /// <summary>What is in memory so far, and what comes; complete once <see cref="Loaded"/>.</summary>
    public PieceProgress Pieces => _residency.Pieces!;

    /// <summary>The end of the load, with its failure if it failed: then the memory stays until the use is disposed, but is not the model.</summary>
    public Task Loaded => _residency.Ended;

    /// <summary>The tensors of the index, which is read beside the data.</summary>
    /// <exception cref="ModelStoreException">The index is missing or damaged; the data are in memory all the same.</exception>
    public Task<IReadOnlyList<TensorInfo>> GetTensorsAsync(CancellationToken cancellationToken = default) =>
        _residency.Tensors!.WaitAsync(cancellationToken);

    public void Dispose() => Interlocked.Exchange(ref _catalog, null)?.Release(_residency);
}
