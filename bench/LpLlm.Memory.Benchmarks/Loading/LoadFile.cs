using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Benchmarks.Loading;

/// <summary>A model of one data file of random bytes in a temporary folder. Disposing deletes it.</summary>
internal sealed partial class LoadFile : IDisposable
{
    public const string Model = "model";
    private const int DontNeed = 4;

    public LoadFile(long lengthBytes)
    {
        LengthBytes = lengthBytes;
        Directory.CreateDirectory(Path.GetDirectoryName(FullName)!);
        var block = new byte[16 << 20];
        Random.Shared.NextBytes(block); // not compressible, should the disk do that
        using var file = new FileStream(FullName, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0);
        for (long done = 0; done < lengthBytes; done += block.Length)
        {
            file.Write(block, 0, (int)Math.Min(block.Length, lengthBytes - done));
        }

        file.Flush(flushToDisk: true); // what is not on the disk cannot be dropped from the cache
    }

    public long LengthBytes { get; }

    public string StoragePath { get; } = Directory.CreateTempSubdirectory("bench-load-").FullName;

    public string FullName => Path.Combine(StoragePath, Model, "tensor.data_0");

    /// <summary>Takes the file out of the page cache. What a hypervisor keeps below it stays.</summary>
    public void MakeCold()
    {
        using var file = File.OpenHandle(FullName);
        var error = Advise(file, 0, 0, DontNeed);
        if (error != 0)
        {
            throw new IOException($"posix_fadvise failed: {Marshal.GetPInvokeErrorMessage(error)}");
        }
    }

    /// <summary>Brings the whole file into the page cache.</summary>
    public void MakeWarm()
    {
        using var file = File.OpenHandle(FullName, options: FileOptions.SequentialScan);
        var block = new byte[16 << 20];
        for (long done = 0; done < LengthBytes; done += RandomAccess.Read(file, block, done))
        {
        }
    }

    public void Dispose() => Directory.Delete(StoragePath, recursive: true);

    [LibraryImport("libc", EntryPoint = "posix_fadvise")]
    private static partial int Advise(SafeFileHandle file, long offsetBytes, long lengthBytes, int advice);
}
