namespace LpLlm.Memory.Models;

/// <summary>The files of models: the seam at which tests fail reads and hold them back. Thread-safe.</summary>
internal interface IModelDisk
{
    /// <summary>The data files of a model, at least one, together at least 1 B. Opens none.</summary>
    /// <exception cref="ModelStoreException">There are none, they are empty, or they cannot be looked at.</exception>
    PartitionSet Find(ModelFolder folder);

    /// <summary>Opens a data file; the caller disposes it.</summary>
    /// <exception cref="IOException">It cannot be opened.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be opened.</exception>
    IPartitionFile Open(Partition partition);

    /// <summary>Reads the model's index.</summary>
    /// <param name="folder">The model.</param>
    /// <param name="dataBytes">Length of the data that were loaded: an index of other data is refused.</param>
    /// <exception cref="ModelStoreException">It is missing, damaged, unreadable, or of other data.</exception>
    IReadOnlyList<TensorInfo> ReadTensors(ModelFolder folder, long dataBytes);
}
