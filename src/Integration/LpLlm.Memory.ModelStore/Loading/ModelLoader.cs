namespace LpLlm.Memory.Models;

/// <summary>Reads models' files into memory. Thread-safe.</summary>
/// <param name="disk">Opens the files.</param>
/// <param name="pool">Its threads read.</param>
internal sealed class ModelLoader(IModelDisk disk, ReadPool pool)
{
    /// <summary>Reads all parts; returns when no thread touches the memory any more, however it ended.</summary>
    /// <param name="model">The model's path, for messages.</param>
    /// <param name="partitions">Its files.</param>
    /// <param name="parts">All that is to be read.</param>
    /// <param name="memory">Where to; at least the files' length.</param>
    /// <param name="pieces">Gets each part as it comes, and the failure.</param>
    /// <param name="priority">Which load's parts are read first; may change meanwhile.</param>
    /// <param name="cancellationToken">Ends the load between parts.</param>
    /// <exception cref="ModelStoreException">A file cannot be read or is cut short.</exception>
    public async Task LoadAsync(
        string model,
        IReadOnlyList<Partition> partitions,
        IReadOnlyList<ReadPart> parts,
        ExtentMap memory,
        PieceProgress pieces,
        Func<RentPriority> priority,
        CancellationToken cancellationToken)
    {
        var files = new List<IPartitionFile>(partitions.Count);
        try
        {
            foreach (var partition in partitions)
            {
                files.Add(Open(model, partition));
            }

            var job = new ReadJob(parts, new PartReader(model, partitions, files, memory), pieces, priority);
            var reading = pool.RunAsync(job);
            using (cancellationToken.UnsafeRegister((_, token) => pool.Stop(job, new OperationCanceledException(token)), null))
            {
                await reading;
            }
        }
        catch (Exception e)
        {
            pieces.Fail(e);
            throw;
        }
        finally
        {
            files.ForEach(file => file.Dispose());
        }
    }

    private IPartitionFile Open(string model, Partition partition)
    {
        try
        {
            return disk.Open(partition);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelStoreException(ModelStoreFault.Unreadable, model, $"{partition.Path} cannot be opened: {e.Message}", e);
        }
    }
}
