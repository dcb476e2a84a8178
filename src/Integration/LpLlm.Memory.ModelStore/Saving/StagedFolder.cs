using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Models;

/// <summary>A folder beside the model's in which it is saved, until it takes the model's name. Whatever fails before that, the model is as it was.</summary>
internal sealed class StagedFolder : IDisposable
{
    private readonly ModelFolder _target;
    private readonly string _parent;
    private readonly string _name;
    private readonly bool _canExchange;
    private readonly SafeFileHandle? _claim;

    private StagedFolder(ModelFolder target, bool canExchange)
    {
        (_target, _canExchange) = (target, canExchange);
        (_parent, _name) = (Path.GetDirectoryName(target.FullPath)!, Path.GetFileName(target.FullPath));
        Directory.CreateDirectory(_parent);
        RestoreInterrupted();
        RemoveLeftovers();
        Staged = target with { FullPath = Path.Combine(_parent, $"{SavingPrefix}{Guid.NewGuid():n}") };
        Directory.CreateDirectory(Staged.FullPath);
        _claim = SaveNative.TryLockFolder(Staged.FullPath);
    }

    /// <summary>Where to save.</summary>
    public ModelFolder Staged { get; }

    private string SavingPrefix => $".{_name}.saving-";

    private string ReplacedPath => Path.Combine(_parent, $".{_name}.replaced");

    /// <param name="target">The model.</param>
    /// <param name="canExchange">Whether to exchange names where the file system can; without it the old model is moved aside for a moment.</param>
    /// <exception cref="ModelStoreException">Something else than a model has that name.</exception>
    /// <exception cref="IOException">The disk refused.</exception>
    public static StagedFolder Create(ModelFolder target, bool canExchange = true)
    {
        CheckReplaceable(target);
        return new StagedFolder(target, canExchange);
    }

    /// <summary>Gives what was saved the model's name, and deletes what had it.</summary>
    public void Commit()
    {
        SaveNative.SyncFolder(Staged.FullPath);
        CheckReplaceable(_target);
        if (!Directory.Exists(_target.FullPath))
        {
            Directory.Move(Staged.FullPath, _target.FullPath);
        }
        else if (!_canExchange || !SaveNative.TryExchange(Staged.FullPath, _target.FullPath))
        {
            Replace();
        }

        SaveNative.SyncFolder(_parent);
    }

    public void Dispose()
    {
        // After a commit this is the old model, or nothing.
        if (Directory.Exists(Staged.FullPath))
        {
            Directory.Delete(Staged.FullPath, recursive: true);
        }

        _claim?.Dispose();
    }

    private static void CheckReplaceable(ModelFolder target)
    {
        if (File.Exists(target.FullPath))
        {
            throw Refusal(target, $"{target.FullPath} is a file; choose another name.");
        }

        if (!Directory.Exists(target.FullPath))
        {
            return;
        }

        if (Directory.EnumerateDirectories(target.FullPath).FirstOrDefault() is { } below)
        {
            throw Refusal(target, $"{below} would be deleted with the model that is replaced; choose another name, or remove it first.");
        }

        if (Directory.EnumerateFiles(target.FullPath).Any() && !File.Exists(target.IndexPath) && !File.Exists(target.PartitionPath(0)))
        {
            throw Refusal(target, $"{target.FullPath} has files but is no model; choose another name, or remove it first.");
        }
    }

    private static ModelStoreException Refusal(ModelFolder target, string problem) => new(ModelStoreFault.InUse, target.Model, problem);

    private void Replace()
    {
        Directory.Move(_target.FullPath, ReplacedPath);
        try
        {
            Directory.Move(Staged.FullPath, _target.FullPath);
        }
        catch
        {
            Directory.Move(ReplacedPath, _target.FullPath);
            throw;
        }

        Directory.Delete(ReplacedPath, recursive: true);
    }

    /// <summary>A save that ended between its two moves has left the old model aside.</summary>
    private void RestoreInterrupted()
    {
        if (!Directory.Exists(ReplacedPath))
        {
            return;
        }

        if (Directory.Exists(_target.FullPath))
        {
            Directory.Delete(ReplacedPath, recursive: true);
        }
        else
        {
            Directory.Move(ReplacedPath, _target.FullPath);
        }
    }

    /// <summary>Removes what saves left that were killed. Those that run claim their folder.</summary>
    private void RemoveLeftovers()
    {
        foreach (var folder in Directory.EnumerateDirectories(_parent, SavingPrefix + "*"))
        {
            using var claim = SaveNative.TryLockFolder(folder);
            if (claim is not null)
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }
}
