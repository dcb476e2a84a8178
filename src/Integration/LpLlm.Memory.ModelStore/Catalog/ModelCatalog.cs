using System.Runtime.ExceptionServices;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Models;

/// <summary>
/// Which models are on disk, on their way into memory, and in it; who uses them; and which goes when others need the room. Thread-safe.
/// One short lock guards the books; reading, waiting, and taking and giving back memory happen outside it.
/// </summary>
internal sealed partial class ModelCatalog : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, CatalogEntry> _entries = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _allocating = new(1); // who found no room first is served first; no later one takes what it evicted
    private readonly PendingReleases _releases = new();
    private readonly ModelCatalogSettings _settings;
    private readonly IModelMemory _memory;
    private readonly IModelDisk _disk;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly FailurePace _failures;
    private readonly ReadPool _pool;
    private readonly ModelLoader _loader;
    private long _useNumber;
    private bool _isDisposed;

    public ModelCatalog(ModelCatalogSettings settings, IModelMemory memory, TimeProvider time, ILogger logger)
        : this(settings, memory, new HostDisk(), time, logger)
    {
    }

    internal ModelCatalog(ModelCatalogSettings settings, IModelMemory memory, IModelDisk disk, TimeProvider time, ILogger logger)
    {
        (_settings, _memory, _disk, _time, _logger) = (settings, memory, disk, time, logger);
        _failures = new FailurePace(time);
        _pool = new ReadPool(settings.ThreadCount);
        _loader = new ModelLoader(disk, _pool);
    }

    /// <summary>Notes a model and its length. A model that is registered keeps the length it had then; its files are not looked at again.</summary>
    /// <returns>Length of its data files. Its index is not needed.</returns>
    /// <exception cref="ArgumentException">The path is empty, absolute, or leads out of the storage path.</exception>
    /// <exception cref="ModelStoreException">There are no data, they are empty, or they cannot be looked at.</exception>
    public async ValueTask<long> RegisterAsync(string modelPath, CancellationToken cancellationToken = default)
    {
        var folder = ModelFolder.Of(_settings.StoragePath, modelPath);
        return Registered(folder) ?? await RegisterAsync(folder, cancellationToken);
    }

    /// <summary>Length of a model's data; registers it as a load would.</summary>
    /// <exception cref="ArgumentException">As for <see cref="RegisterAsync(string, CancellationToken)"/>.</exception>
    /// <exception cref="ModelStoreException">As for <see cref="RegisterAsync(string, CancellationToken)"/>; or it is not registered though it must be.</exception>
    public async ValueTask<long> MeasureAsync(string modelPath, CancellationToken cancellationToken = default)
    {
        var folder = ModelFolder.Of(_settings.StoragePath, modelPath);
        if (Registered(folder) is { } lengthBytes)
        {
            return lengthBytes;
        }

        await RegisterForLoadAsync(folder, cancellationToken);
        return await RegisterAsync(folder, cancellationToken);
    }

    /// <summary>Brings a model into memory, or waits while another call does. A model that is there is a no-op.</summary>
    /// <param name="modelPath">Its path under the storage path.</param>
    /// <param name="priority">Of the reads; raises a running load of lower priority.</param>
    /// <param name="cancellationToken">Stops waiting. The load ends too, when nobody else wants it.</param>
    /// <exception cref="ArgumentException">The path is empty, absolute, or leads out of the storage path.</exception>
    /// <exception cref="ModelStoreException">It is not there, not registered though it must be, damaged or unreadable, or there is no room.</exception>
    public async Task LoadAsync(string modelPath, RentPriority priority, CancellationToken cancellationToken = default)
    {
        var residency = await JoinAsync(modelPath, priority, isUse: false, cancellationToken);
        await WaitAsync(residency, cancellationToken);
    }

    /// <summary>Waits for the load that runs, or tells how the last one ended; asks for none itself.</summary>
    /// <exception cref="ModelStoreException">The load failed; or the model is not in memory and nobody asked for it.</exception>
    public async Task ConfirmAsync(string modelPath, CancellationToken cancellationToken = default)
    {
        var folder = ModelFolder.Of(_settings.StoragePath, modelPath);
        ModelResidency? residency;
        Exception? failure;
        lock (_gate)
        {
            var entry = _entries.GetValueOrDefault(folder.FullPath);
            residency = entry?.Current;
            failure = entry?.Failure;
            if (residency is not null)
            {
                residency.WaiterCount++;
            }
        }

        if (residency is not null)
        {
            await WaitAsync(residency, cancellationToken);
            return;
        }

        ExceptionDispatchInfo.Throw(failure ?? NotResident(folder));
    }

    /// <summary>Brings a model into memory if it is not there, and keeps it there.</summary>
    /// <returns>The caller disposes it.</returns>
    /// <exception cref="ArgumentException">As for <see cref="LoadAsync"/>.</exception>
    /// <exception cref="ModelStoreException">As for <see cref="LoadAsync"/>.</exception>
    public async ValueTask<ModelUse> UseAsync(
        string modelPath, RentPriority priority = RentPriority.Normal, CancellationToken cancellationToken = default)
    {
        var residency = await JoinAsync(modelPath, priority, isUse: true, cancellationToken);
        return await GrantAsync(residency, residency.Ended, cancellationToken);
    }

    /// <summary>As <see cref="UseAsync"/>, but returns as soon as there is memory and <see cref="ModelUse.Pieces"/> come.</summary>
    public async ValueTask<ModelUse> UseWhileLoadingAsync(
        string modelPath, RentPriority priority = RentPriority.Normal, CancellationToken cancellationToken = default)
    {
        var residency = await JoinAsync(modelPath, priority, isUse: true, cancellationToken);
        return await GrantAsync(residency, residency.Begun, cancellationToken);
    }

    /// <summary>A model's state; null if it is not known.</summary>
    public ModelStatus? Find(string modelPath)
    {
        var folder = ModelFolder.Of(_settings.StoragePath, modelPath);
        lock (_gate)
        {
            return _entries.GetValueOrDefault(folder.FullPath)?.ToStatus();
        }
    }

    /// <summary>All models that are registered or in memory, by name.</summary>
    public IReadOnlyList<ModelStatus> List()
    {
        lock (_gate)
        {
            return [.. _entries.Values.Select(entry => entry.ToStatus()).OrderBy(status => status.Model, StringComparer.Ordinal)];
        }
    }

    /// <summary>Ends all loads, waits for the reads that run, and gives idle models' memory back; a model in use gives it back with its last use.</summary>
    public async ValueTask DisposeAsync()
    {
        ModelResidency[] loading;
        lock (_gate)
        {
            if (_isDisposed)
            {
                return;
            }

            _isDisposed = true;
            loading = [.. _entries.Values.Select(entry => entry.Current).OfType<ModelResidency>().Where(current => !current.IsLoaded)];
        }

        foreach (var residency in loading)
        {
            residency.Cancel();
            await residency.Ended.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        DetachAll().ForEach(Free);
        _pool.Dispose();
    }

    private static ModelStoreException NotResident(ModelFolder folder) =>
        new(ModelStoreFault.NotFound, folder.Model, "it is not in memory, and no load of it runs; load it first.");

    private long? Registered(ModelFolder folder)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            return _entries.GetValueOrDefault(folder.FullPath)?.RegisteredBytes;
        }
    }

    private async Task<long> RegisterAsync(ModelFolder folder, CancellationToken cancellationToken)
    {
        // Not on the caller's thread: a network file system may answer late.
        var lengthBytes = await Task.Run(() => _disk.Find(folder).LengthBytes, CancellationToken.None).WaitAsync(cancellationToken);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (!_entries.TryGetValue(folder.FullPath, out var entry))
            {
                _entries.Add(folder.FullPath, entry = new CatalogEntry(folder) { LastUsed = _time.GetUtcNow() });
            }

            return entry.RegisteredBytes ??= lengthBytes;
        }
    }

    private void Touch(CatalogEntry entry)
    {
        entry.LastUse = ++_useNumber;
        entry.LastUsed = _time.GetUtcNow();
    }
}
