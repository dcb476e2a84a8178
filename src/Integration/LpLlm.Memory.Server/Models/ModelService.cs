using LpLlm.Memory.Models;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Models;
using LpLlm.Memory.Transport.Server;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Daemon.Models;

/// <summary>The model store of a pool server: the catalog, on the engine's memory. What other sessions need, the catalog evicts.</summary>
internal sealed class ModelService : IModelService
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly PoolEngine _engine;
    private readonly EngineModelMemory _memory;
    private readonly ModelCatalog _catalog;
    private readonly ModelReplicas? _replicas;
    private readonly Task _trimming;

    /// <param name="engine">Whose memory it is.</param>
    /// <param name="settings">Of the catalog.</param>
    /// <param name="time">The engine's clock.</param>
    /// <param name="logger">For loads.</param>
    /// <param name="devices">To whose memory models are copied; null: none.</param>
    public ModelService(PoolEngine engine, ModelCatalogSettings settings, TimeProvider time, ILogger logger, IDeviceSet? devices = null)
    {
        _engine = engine;
        _memory = new EngineModelMemory(engine);
        _catalog = new ModelCatalog(settings, _memory, time, logger);
        _replicas = devices is null ? null : new ModelReplicas(_catalog, devices, time, logger);
        Replicas = _replicas is null ? null : new ServedReplicas(_replicas);
        IsRegistrationRequired = settings.RegistrationRequired;
        _trimming = TrimAsync();
    }

    public bool IsRegistrationRequired { get; }

    public IModelReplicas? Replicas { get; }

    public ValueTask<long> RegisterAsync(string model, CancellationToken cancellationToken) => _catalog.RegisterAsync(model, cancellationToken);

    public void StartLoad(string model) => _ = LoadInBackgroundAsync(model);

    public async ValueTask ConfirmAsync(string model, CancellationToken cancellationToken) =>
        await _catalog.ConfirmAsync(model, cancellationToken).ConfigureAwait(false);

    public async ValueTask<ModelSummary> LoadAsync(string model, CancellationToken cancellationToken)
    {
        await _catalog.LoadAsync(model, RentPriority.Normal, cancellationToken).ConfigureAwait(false);
        return _catalog.Find(model) is { } status
            ? Summary(status)
            : throw new ModelStoreException(ModelStoreFault.NotFound, model, "it was loaded and taken away again at once; load it again.");
    }

    public async ValueTask<ServedModel> OpenAsync(string model, CancellationToken cancellationToken)
    {
        var use = await _catalog.UseAsync(model, RentPriority.Normal, cancellationToken).ConfigureAwait(false);
        try
        {
            var tensors = await use.GetTensorsAsync(cancellationToken).ConfigureAwait(false);
            return new ServedModel(((EngineModelAllocation)use.Allocation).LeaseId, use.LengthBytes, tensors, use);
        }
        catch
        {
            use.Dispose();
            throw;
        }
    }

    public ValueTask UnloadAsync(string model, CancellationToken cancellationToken) => _catalog.UnloadAsync(model, cancellationToken);

    public async ValueTask ClearAsync(CancellationToken cancellationToken)
    {
        if (_replicas is not null)
        {
            await _replicas.ClearAsync(cancellationToken).ConfigureAwait(false);
        }

        await _catalog.ClearAsync(cancellationToken).ConfigureAwait(false);
    }

    public IReadOnlyList<ModelSummary> List() => [.. _catalog.List().Select(Summary)];

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _trimming.ConfigureAwait(false);
        if (_replicas is not null)
        {
            await _replicas.DisposeAsync().ConfigureAwait(false);
        }

        await _catalog.DisposeAsync().ConfigureAwait(false);
    }

    private static ModelSummary Summary(ModelStatus status) => new(
        status.Model,
        status.State switch
        {
            ModelState.Registered => "registered",
            ModelState.Loading => "loading",
            ModelState.Loaded => ModelReplies.Loaded,
            ModelState.Failed => "failed",
            _ => throw new InvalidOperationException($"There is no name for {status.State}."),
        },
        status.LengthBytes,
        status.LoadedBytes,
        status.UseCount,
        status.LoadTime,
        status.Failure?.Message ?? "");

    /// <summary>Nobody waits: the catalog remembers how it ended, logs it, and tells whoever confirms.</summary>
    private async Task LoadInBackgroundAsync(string model)
    {
        try
        {
            await _catalog.LoadAsync(model, RentPriority.Normal, _stopping.Token).ConfigureAwait(false);
        }
        catch (Exception told) when (told is PinnedMemoryException or OperationCanceledException or ObjectDisposedException)
        {
            // Not here.
        }
    }

    private async Task TrimAsync()
    {
        try
        {
            await foreach (var wish in _engine.WatchAsync(_memory.Session, _stopping.Token).ConfigureAwait(false))
            {
                if (wish is PoolEvent.Trim trim)
                {
                    _catalog.Evict(trim.LengthBytes);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // It stops.
        }
    }
}
