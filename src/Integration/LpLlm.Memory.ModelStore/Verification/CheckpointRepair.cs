namespace LpLlm.Memory.Models;

/// <summary>Undoes damages where what was there is known for certain; leaves all others alone.</summary>
internal static class CheckpointRepair
{
    /// <summary>Undoes what a verification found.</summary>
    /// <returns>What was done, or why something was not, a sentence each.</returns>
    /// <exception cref="ModelStoreException">The disk refused.</exception>
    public static IReadOnlyList<string> Run(ModelFolder folder, VerifyReport report, CancellationToken cancellationToken = default)
    {
        try
        {
            var done = report.Findings.Where(finding => finding.Repair == RepairKind.Padding).Select(ClearPadding).ToList();
            if (report.Findings.Any(finding => finding.Repair == RepairKind.Index))
            {
                done.Add(RestoreIndex(folder));
            }

            if (!report.HasChecks)
            {
                done.Add(ChecksRebuild.Run(folder, report, cancellationToken));
            }

            return done;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelStoreException(ModelStoreFault.Unreadable, folder.Model, $"it was not repaired: {e.Message}.", e);
        }
    }

    /// <returns>The index as it was saved; null if it was not written as Python and we write it, so that it cannot be had again.</returns>
    public static byte[]? TryFormatIndex(CheckFile checks)
    {
        var text = TensorIndex.Format(checks.Tensors);
        return Checkpoint.CompareIndex(text, checks) is null ? text : null;
    }

    private static string RestoreIndex(ModelFolder folder)
    {
        var text = TryFormatIndex(CheckFileReader.TryRead(folder)!)!;
        AtomicFile.Write(folder.IndexPath, text);
        return $"{folder.IndexPath} was restored from {ModelFolder.ChecksName}, {text.Length} B whose sum is the one that was saved.";
    }

    private static string ClearPadding(Finding finding)
    {
        using var file = File.OpenHandle(finding.Path, FileMode.Open, FileAccess.Write);
        SaveNative.Write(file, finding.Path, new byte[finding.LengthBytes], finding.OffsetBytes);
        SaveNative.Sync(file, finding.Path);
        return $"{finding.Path}: byte {finding.OffsetBytes}, which belongs to no tensor, is zero again.";
    }
}
