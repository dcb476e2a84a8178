using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Samples.Generate.Checkpoint;

/// <summary>One open data file and the range of bytes it holds of all.</summary>
internal sealed class PartitionFile : IDisposable
{
    public PartitionFile(string path, long startBytes)
    {
        Path = path;
        StartBytes = startBytes;
        Handle = File.OpenHandle(path);
        EndBytes = startBytes + RandomAccess.GetLength(Handle);
    }

    public string Path { get; }

    public SafeFileHandle Handle { get; }

    public long StartBytes { get; }

    public long EndBytes { get; }

    public void Dispose() => Handle.Dispose();
}
