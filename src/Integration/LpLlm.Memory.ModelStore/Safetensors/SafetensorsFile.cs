using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Models;

/// <summary>An open safetensors file, whose header was checked.</summary>
internal sealed class SafetensorsFile : IDisposable
{
    private const int LengthPrefixBytes = sizeof(ulong);

    /// <summary>The format's own limit.</summary>
    private const long LongestHeaderBytes = 100_000_000;

    private readonly SafeFileHandle _handle;

    private SafetensorsFile(string path, SafeFileHandle handle, SafetensorsHeader header) => (Path, _handle, Header) = (path, handle, header);

    public string Path { get; }

    public SafetensorsHeader Header { get; }

    /// <param name="path">The file.</param>
    /// <param name="target">The model that is made of it, for messages.</param>
    /// <exception cref="ModelStoreException">The header is damaged, or the file is cut short.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static SafetensorsFile Open(string path, ModelFolder target)
    {
        var handle = File.OpenHandle(path, options: FileOptions.SequentialScan);
        try
        {
            return new SafetensorsFile(path, handle, ReadHeader(path, handle, target));
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    public TensorStorage StorageOf(SafetensorsEntry entry) => new FileStorage(Path, _handle, entry.OffsetBytes, entry.LengthBytes);

    public void Dispose() => _handle.Dispose();

    private static SafetensorsHeader ReadHeader(string path, SafeFileHandle handle, ModelFolder target)
    {
        var fileBytes = RandomAccess.GetLength(handle);
        if (fileBytes < LengthPrefixBytes)
        {
            throw target.Damaged(path, $"has {fileBytes} B; a safetensors file begins with {LengthPrefixBytes} B that say how long its header is.");
        }

        Span<byte> prefix = stackalloc byte[LengthPrefixBytes];
        FileStorage.ReadExactly(path, handle, 0, prefix);
        var headerBytes = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerBytes > LongestHeaderBytes || (long)headerBytes > fileBytes - LengthPrefixBytes)
        {
            throw target.Damaged(
                path, $"says that its header has {headerBytes} B; at most {Math.Min(LongestHeaderBytes, fileBytes - LengthPrefixBytes)} B are possible.");
        }

        var header = new byte[headerBytes];
        FileStorage.ReadExactly(path, handle, LengthPrefixBytes, header);
        return SafetensorsHeader.Parse(path, header, LengthPrefixBytes + (long)headerBytes, fileBytes, target);
    }
}
