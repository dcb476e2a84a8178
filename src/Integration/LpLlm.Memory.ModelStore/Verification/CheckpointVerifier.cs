namespace LpLlm.Memory.Models;

/// <summary>Looks for every damage of a model: lengths of files, index, file of checks, overlaps and gaps, and the bytes themselves.</summary>
internal sealed class CheckpointVerifier
{
    private readonly ModelFolder _folder;
    private readonly Action<long>? _progress;
    private readonly CancellationToken _cancellationToken;
    private readonly List<Finding> _findings = [];

    private CheckpointVerifier(ModelFolder folder, Action<long>? progress, CancellationToken cancellationToken) =>
        (_folder, _progress, _cancellationToken) = (folder, progress, cancellationToken);

    /// <param name="folder">The model.</param>
    /// <param name="progress">Told of bytes that were checked.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="ModelStoreException">There is no such model, or it cannot be read.</exception>
    public static VerifyReport Verify(ModelFolder folder, Action<long>? progress = null, CancellationToken cancellationToken = default)
    {
        try
        {
            return new CheckpointVerifier(folder, progress, cancellationToken).Run();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw folder.Unreadable(folder.FullPath, e);
        }
    }

    private VerifyReport Run()
    {
        var data = Try(() => PartitionSet.Find(_folder));
        var checks = Try(() => CheckFileReader.TryRead(_folder), RepairKind.Checks);
        return checks is null ? RunWithoutChecks(data) : RunWithChecks(data, checks);
    }

    private VerifyReport RunWithoutChecks(PartitionSet? data)
    {
        var tensors = Try(() => TensorIndex.Read(_folder, data?.LengthBytes ?? long.MaxValue));
        if (data is not null && tensors is not null)
        {
            _findings.AddRange(StructureCheck.Run(_folder, data, tensors));
        }

        return new VerifyReport(_findings, HasChecks: false, CheckedBytes: 0, tensors?.Count ?? 0);
    }

    private VerifyReport RunWithChecks(PartitionSet? data, CheckFile checks)
    {
        CheckIndex(checks);
        long checkedBytes = 0;
        if (data is not null)
        {
            _findings.AddRange(Checkpoint.CompareSizes(_folder, data, checks).Select(pair => new Finding(pair.Path, pair.Problem)));
            using var content = new ContentCheck(_folder, data, checks, _cancellationToken);
            _findings.AddRange(content.Run(bytes =>
            {
                checkedBytes += bytes;
                _progress?.Invoke(bytes);
            }));
        }

        return new VerifyReport(_findings, HasChecks: true, checkedBytes, checks.Tensors.Count);
    }

    private void CheckIndex(CheckFile checks)
    {
        var canRestore = CheckpointRepair.TryFormatIndex(checks) is not null ? RepairKind.Index : RepairKind.None;
        if (!File.Exists(_folder.IndexPath))
        {
            _findings.Add(new Finding(_folder.IndexPath, "does not exist.", canRestore));
            return;
        }

        var text = _folder.ReadAllBytes(_folder.IndexPath);
        if (Checkpoint.CompareIndex(text, checks) is { } problem)
        {
            _findings.Add(new Finding(_folder.IndexPath, problem, canRestore));
        }
    }

    private T? Try<T>(Func<T?> read, RepairKind repair = RepairKind.None)
        where T : class
    {
        try
        {
            return read();
        }
        catch (ModelStoreException e) when (e.Fault == ModelStoreFault.Damaged)
        {
            var (path, problem) = _folder.Split(e);
            _findings.Add(new Finding(path, problem, repair));
            return null;
        }
    }
}
