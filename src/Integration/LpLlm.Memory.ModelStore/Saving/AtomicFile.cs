namespace LpLlm.Memory.Models;

/// <summary>Files that are there as a whole or not at all, also after a loss of power.</summary>
internal static class AtomicFile
{
    /// <exception cref="IOException">The disk refused; a file that had the name is as it was.</exception>
    public static void Write(string path, ReadOnlySpan<byte> content)
    {
        var temporary = $"{path}.{Guid.NewGuid():n}";
        try
        {
            WriteNew(temporary, content);
            File.Move(temporary, path, overwrite: true);
            SaveNative.SyncFolder(Path.GetDirectoryName(path)!);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <summary>Writes a file that does not exist yet.</summary>
    public static void WriteNew(string path, ReadOnlySpan<byte> content)
    {
        var (file, _) = SaveNative.CreateFile(path, direct: false);
        using (file)
        {
            SaveNative.Write(file, path, content, 0);
            SaveNative.Sync(file, path);
        }
    }
}
