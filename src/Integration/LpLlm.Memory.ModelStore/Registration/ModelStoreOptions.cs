namespace LpLlm.Memory.Models;

/// <summary>Options of a model store in this process.</summary>
public sealed class ModelStoreOptions
{
    /// <summary>Folder of all models; a model's name is its path below it. Must be given.</summary>
    public string StoragePath { get; set; } = "";

    /// <summary>
    /// Name of the registered pool that holds the models. Default null: the default pool. A model is one block, so the pool's <c>SlabBytes</c>
    /// must be at least the largest model's length.
    /// </summary>
    public string? PoolName { get; set; }

    /// <summary>Threads that read from disk, for all loads together: 1 to 256, default 4.</summary>
    public int ThreadCount { get; set; } = 4;
}
