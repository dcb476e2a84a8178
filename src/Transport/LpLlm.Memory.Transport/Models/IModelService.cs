namespace LpLlm.Memory.Transport.Models;

/// <summary>The server's model store, as its protocols see it. Thread-safe; no call holds a thread while it waits.</summary>
/// <remarks>
/// Calls that take a model throw <see cref="ArgumentException"/> where its path is empty, absolute or leads out of the storage path, and
/// <see cref="ModelStoreException"/> where it cannot be had. A token ends the wait, not a load that others wait for.
/// </remarks>
internal interface IModelService : IAsyncDisposable
{
    /// <summary>Whether a model must be registered before it is loaded; else loading registers it.</summary>
    bool IsRegistrationRequired { get; }

    /// <summary>Copies of models in device memory; null where the server has no device.</summary>
    IModelReplicas? Replicas { get; }

    /// <summary>Notes a model.</summary>
    /// <returns>Bytes of its data.</returns>
    ValueTask<long> RegisterAsync(string model, CancellationToken cancellationToken);

    /// <summary>Begins a load, unless the model is loaded or being loaded. How it ends <see cref="ConfirmAsync"/> tells, and the log.</summary>
    void StartLoad(string model);

    /// <summary>Waits for a load that runs, or tells at once how the last one ended.</summary>
    ValueTask ConfirmAsync(string model, CancellationToken cancellationToken);

    /// <summary>Brings a model into memory.</summary>
    ValueTask<ModelSummary> LoadAsync(string model, CancellationToken cancellationToken);

    /// <summary>Brings a model into memory, and keeps it there until the use is disposed.</summary>
    ValueTask<ServedModel> OpenAsync(string model, CancellationToken cancellationToken);

    /// <summary>Takes a model that nobody uses out of memory. It stays registered.</summary>
    ValueTask UnloadAsync(string model, CancellationToken cancellationToken);

    /// <summary>Takes all models out of memory that nobody uses, when loads that run have ended, and forgets all registrations.</summary>
    ValueTask ClearAsync(CancellationToken cancellationToken);

    /// <summary>All models that are registered or in memory.</summary>
    IReadOnlyList<ModelSummary> List();
}
