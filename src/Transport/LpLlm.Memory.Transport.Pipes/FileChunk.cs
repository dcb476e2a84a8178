using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>Descriptors that leave with one byte. They are held open, not duplicated: their owner may dispose them meanwhile.</summary>
internal sealed class FileChunk
{
    private readonly SafeFileHandle[] _files;

    private FileChunk(SafeFileHandle[] files) => _files = files;

    /// <summary>Which byte, counted from the connection's first.</summary>
    public long Position { get; set; }

    public int Count => _files.Length;

    public IReadOnlyList<SafeFileHandle> Files => _files;

    /// <summary>Splits descriptors into chunks of at most 253, and holds them.</summary>
    /// <exception cref="ObjectDisposedException">One of them is closed; none is held.</exception>
    public static FileChunk[] Hold(IReadOnlyList<SafeFileHandle> files)
    {
        if (files.Count == 0)
        {
            return [];
        }

        var held = new List<SafeFileHandle>(files.Count);
        try
        {
            foreach (var file in files)
            {
                var added = false;
                file.DangerousAddRef(ref added);
                held.Add(file);
            }
        }
        catch
        {
            held.ForEach(file => file.DangerousRelease());
            throw;
        }

        return [.. held.Chunk(FrameHeader.FilesPerChunk).Select(chunk => new FileChunk(chunk))];
    }

    public void CopyTo(Span<int> descriptors)
    {
        for (var i = 0; i < _files.Length; i++)
        {
            descriptors[i] = (int)_files[i].DangerousGetHandle();
        }
    }

    public void Release() => Array.ForEach(_files, file => file.DangerousRelease());
}
