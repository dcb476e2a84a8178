namespace LpLlm.Memory;

/// <summary>Checkpoints in page-locked memory, loaded once for all who open them. Thread-safe.</summary>
public interface IModelStore
{
    /// <summary>Opens a model, loading it first if nobody has. It stays loaded as long as anybody has it open.</summary>
    /// <param name="model">Its path under the storage path, with <c>/</c>, for example <c>llama/7b</c>.</param>
    /// <param name="cancellationToken">Stops waiting; a load that others wait for goes on.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="ArgumentException">The path is empty, absolute, or leads out of the storage path.</exception>
    /// <exception cref="ModelStoreException">There is no such model, it is damaged, it cannot be read, or there is no room for it.</exception>
    ValueTask<ModelHandle> OpenAsync(string model, CancellationToken cancellationToken = default);
}
