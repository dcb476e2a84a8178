namespace LpLlm.Memory.Models;

/// <summary>Saves models in the original's format, with the file of checks beside.</summary>
internal static class CheckpointWriter
{
    private const int NoSpace = 28;

    /// <summary>Saves a model, or replaces one in a single step. Whatever fails, an existing model stays as it was.</summary>
    /// <param name="target">The model.</param>
    /// <param name="plan">What to save.</param>
    /// <param name="companions">Files beside the tensors.</param>
    /// <param name="progress">Called from the threads that save.</param>
    /// <param name="cancellationToken">Ends the save; nothing of it stays.</param>
    /// <exception cref="ModelStoreException">The disk refused, a source cannot be read, or something else than a model has that name.</exception>
    public static async Task WriteAsync(
        ModelFolder target,
        CheckpointPlan plan,
        IReadOnlyList<CompanionFile> companions,
        IProgress<SaveProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        try
        {
            using var folder = StagedFolder.Create(target);
            await WriteFilesAsync(folder.Staged, plan, companions, progress, cancellationToken).ConfigureAwait(false);
            folder.Commit();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            var remedy = e.HResult == NoSpace ? $" Its data need {plan.DataBytes} B: free them, or choose another storage path." : "";
            throw new ModelStoreException(
                ModelStoreFault.Unreadable, target.Model, $"it was not saved: {e.Message}.{remedy} A model that had this name is as it was.", e);
        }
    }

    private static async Task WriteFilesAsync(
        ModelFolder folder,
        CheckpointPlan plan,
        IReadOnlyList<CompanionFile> companions,
        IProgress<SaveProgress>? progress,
        CancellationToken cancellationToken)
    {
        foreach (var file in companions)
        {
            AtomicFile.WriteNew(folder.PathOf(file.Name), file.Content.Span);
        }

        long doneBytes = 0;
        var totalBytes = plan.DataBytes;
        using var writer = new PartitionWriter(bytes => progress?.Report(new SaveProgress(doneBytes += bytes, totalBytes)));
        var records = new List<RecordCheck>();
        for (var i = 0; i < plan.Partitions.Count; i++)
        {
            records.AddRange(await writer.WriteAsync(folder.PartitionPath(i), plan.Partitions[i], cancellationToken).ConfigureAwait(false));
        }

        var index = TensorIndex.Format(plan.Tensors);
        AtomicFile.WriteNew(folder.IndexPath, index);
        AtomicFile.WriteNew(folder.ChecksPath, CheckFile.Of(plan.FileBytes, index, records, plan.Tensors).Format());
    }
}
