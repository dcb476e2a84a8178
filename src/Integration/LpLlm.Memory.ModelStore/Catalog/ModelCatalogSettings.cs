namespace LpLlm.Memory.Models;

/// <summary>How a <see cref="ModelCatalog"/> works.</summary>
internal sealed record ModelCatalogSettings
{
    /// <summary>Folder of all models.</summary>
    public required string StoragePath { get; init; }

    /// <summary>Threads that read from disk, for all loads together; 1 to 256.</summary>
    public int ThreadCount { get; init; } = 4;

    /// <summary>Bytes that a thread reads at a time, a multiple of 4096. Smaller ones cost system calls, larger ones start consumers later.</summary>
    public int ReadBytes { get; init; } = 16 << 20;

    /// <summary>Whether a model must be registered before it is loaded; else loading registers it.</summary>
    public bool RegistrationRequired { get; init; }

    /// <summary>Bytes of models that <see cref="ModelCatalog.Evict"/> leaves in memory. What models take from each other is not limited by it.</summary>
    public long FloorBytes { get; init; }
}
