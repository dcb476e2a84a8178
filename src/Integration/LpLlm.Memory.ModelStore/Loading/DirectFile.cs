using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Models;

/// <summary>A data file of this host, read with O_DIRECT as long as the file system allows it, else through the page cache.</summary>
internal sealed class DirectFile : IPartitionFile
{
    /// <summary>What addresses, offsets and lengths of direct reads are multiples of: the largest block that disks have.</summary>
    public const int BlockBytes = 4096;

    private readonly SafeFileHandle _file;
    private volatile bool _isDirect;

    public DirectFile(string path)
    {
        _file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
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

    public void Dispose() => _file.Dispose();
}
