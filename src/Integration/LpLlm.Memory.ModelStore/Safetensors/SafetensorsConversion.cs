namespace LpLlm.Memory.Models;

/// <summary>Saves a Hugging Face folder as a model.</summary>
internal static class SafetensorsConversion
{
    /// <summary>Converts a folder. Whatever fails, an existing model of that name stays as it was.</summary>
    /// <param name="source">The folder with the safetensors files.</param>
    /// <param name="target">The model.</param>
    /// <param name="partitionBytes">See <see cref="CheckpointPlan.Of"/>.</param>
    /// <param name="progress">Called from the threads that save.</param>
    /// <param name="cancellationToken">Ends the save; nothing of it stays.</param>
    /// <returns>What was saved.</returns>
    /// <exception cref="ModelStoreException">The source is missing or damaged, or the disk refused.</exception>
    public static async Task<CheckpointPlan> SaveAsync(
        string source,
        ModelFolder target,
        long partitionBytes = CheckpointPlan.DefaultPartitionBytes,
        IProgress<SaveProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        var full = Path.GetFullPath(source);
        CheckApart(PathNative.TryResolve(full) ?? full, target);
        try
        {
            using var folder = SafetensorsFolder.Open(full, target);
            var companions = Companions.Of(full, folder.Tensors);
            var plan = Plan(full, target, folder, partitionBytes);
            await CheckpointWriter.WriteAsync(target, plan, companions, progress, cancellationToken).ConfigureAwait(false);
            return plan;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw target.Unreadable(full, e);
        }
    }

    private static CheckpointPlan Plan(string source, ModelFolder target, SafetensorsFolder folder, long partitionBytes)
    {
        try
        {
            return CheckpointPlan.Of(folder.Tensors, partitionBytes);
        }
        catch (ArgumentException e)
        {
            throw target.Damaged(source, e.Message, e);
        }
    }

    /// <summary>The model's folder is replaced as a whole, so its source must not lie in it.</summary>
    private static void CheckApart(string source, ModelFolder target)
    {
        if ((source + "/").StartsWith(target.FullPath + "/", StringComparison.Ordinal))
        {
            throw new ModelStoreException(
                ModelStoreFault.InUse, target.Model, $"it would replace {target.FullPath}, which holds its source; choose another name or another storage path.");
        }
    }
}
