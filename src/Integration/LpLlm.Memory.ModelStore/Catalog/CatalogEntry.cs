namespace LpLlm.Memory.Models;

/// <summary>What the catalog keeps of a model: everything in one place, so that nothing outlives it (U8). Belongs to the catalog's lock.</summary>
internal sealed class CatalogEntry(ModelFolder folder)
{
    public ModelFolder Folder => folder;

    /// <summary>Length of the data when it was registered; null if it is not.</summary>
    public long? RegisteredBytes { get; set; }

    /// <summary>The stay in memory, from the beginning of the load; null if it is on disk only.</summary>
    public ModelResidency? Current { get; set; }

    /// <summary>Why the last load failed; null if it did not, or another began.</summary>
    public Exception? Failure { get; set; }

    /// <summary>Number of the last use: smaller ones are evicted first.</summary>
    public long LastUse { get; set; }

    public DateTimeOffset LastUsed { get; set; }

    public bool IsForgettable => RegisteredBytes is null && Current is null;

    public ModelStatus ToStatus() => new(
        folder.Model,
        Current switch
        {
            { IsLoaded: true } => ModelState.Loaded,
            { } => ModelState.Loading,
            null => Failure is null ? ModelState.Registered : ModelState.Failed,
        },
        RegisteredBytes is not null,
        Current is { LengthBytes: > 0 } current ? current.LengthBytes : RegisteredBytes ?? 0,
        Current?.Pieces?.LoadedBytes ?? 0,
        Current?.UseCount ?? 0,
        LastUsed,
        Current?.LoadTime,
        Failure);
}
