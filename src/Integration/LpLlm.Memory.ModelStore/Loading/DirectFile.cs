using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Models;

/// <summary>A data file of this host, read with O_DIRECT as long as the file system allows it, else, and what is in it, through the page cache.</summary>
internal sealed class DirectFile : IPartitionFile
{
    /// <summary>What addresses, offsets and lengths of direct reads are multiples of: the largest block that disks have.</summary>
    public const int BlockBytes = 4096;

    private readonly SafeFileHandle _file;
    private readonly SafeFileHandle _cache; // a file that was opened again: O_DIRECT is one for all who share an opening
    private volatile bool _isDirect;

    public DirectFile(string path)
    {
        _file = Open(path);
        try
        {
            _cache = Open(path);
        }
        catch
        {
            _file.Dispose();
            throw;
        }

        _isDirect = LoadNative.TrySetDirect(_file, direct: true);
    }

    public bool IsDirect => _isDirect;

    public long LengthBytes => RandomAccess.GetLength(_file);

    public long Read(nint address, long lengthBytes, long offsetBytes)
    {
        while (true)
        {
            var wasDirect = _isDirect; // before the read: another thread's may be refused at the same time
            var read = LoadNative.Read(_file, address, (nint)lengthBytes, offsetBytes);
            if (read >= 0)
            {
                return read;
            }

            var error = Marshal.GetLastPInvokeError();
            if (error == LoadNative.EINVAL && wasDirect && LoadNative.TrySetDirect(_file, direct: false))
            {
                _isDirect = false; // Some file systems accept the flag and refuse the reads. Other threads' reads go on either way.
            }
            else if (error != LoadNative.EINTR)
            {
                throw new IOException(Marshal.GetPInvokeErrorMessage(error));
            }
        }
    }

    /// <summary>Copying out of the page cache is about twice as fast as a disk of 5 GB/s, and asking costs a microsecond a part.</summary>
    public bool TryReadCached(nint address, long lengthBytes, long offsetBytes)
    {
        if (!LoadNative.IsCached(_cache, offsetBytes, lengthBytes))
        {
            return false;
        }

        for (long done = 0; done < lengthBytes;)
        {
            var read = LoadNative.Read(_cache, (nint)(address + done), (nint)(lengthBytes - done), offsetBytes + done);
            if (read <= 0)
            {
                return false; // The disk is asked, and says what is wrong.
            }

            done += read;
        }

        return true;
    }

    public void Dispose()
    {
        _file.Dispose();
        _cache.Dispose();
    }

    private static SafeFileHandle Open(string path) =>
        File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
}
