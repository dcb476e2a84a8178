using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Client;

/// <summary>Checks a memory file before it is mapped: a server's word is not enough, since a wrong file can kill the process that touches it.</summary>
internal static partial class SegmentFile
{
    /// <summary>Without both, another holder could cut the file off, and the next touch would be a SIGBUS that nobody can catch.</summary>
    private const int RequiredSeals = MemoryCalls.SealShrink | MemoryCalls.SealGrow;

    /// <summary>Opens a segment that came as a path, which only a process of the same user can.</summary>
    /// <exception cref="PoolProtocolException">The path is not one of a server's descriptors.</exception>
    /// <exception cref="MemorySourceException">It cannot be opened.</exception>
    /// <exception cref="PlatformNotSupportedException">On Windows, where no path leads to a handle.</exception>
    public static SafeFileHandle Open(string path, long lengthBytes, string endPoint, bool readOnly = false)
    {
        if (OperatingSystem.IsWindows())
        {
            throw new PlatformNotSupportedException("On Windows a server's memory is shared over a pipe only: use its pipe end point instead of gRPC.");
        }

        // Nothing else is opened: a path of the server's choice could be a device or a pipe that hangs.
        if (!DescriptorPath().IsMatch(path))
        {
            throw new PoolProtocolException(endPoint, $"The server sent '{path}' as the path of a segment: it must look like /proc/4711/fd/42.");
        }

        try
        {
            return File.OpenHandle(path, FileMode.Open, readOnly ? FileAccess.Read : FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new MemorySourceException(
                $"open('{path}')", refused.HResult, refused.GetType().Name, lengthBytes, null,
                "Over gRPC client and server must run on one host, as one user, in one PID namespace, and the server must be one that this user may "
                + "trace: without file capabilities such as CAP_IPC_LOCK (raise its memlock limit instead), and dumpable. Over a pipe none of it matters.",
                refused);
        }
    }

    /// <exception cref="PoolProtocolException">It is not what the server said, or not sealed against a change of length.</exception>
    public static void Verify(SafeFileHandle file, long lengthBytes, ulong inode, string endPoint, bool readOnly = false)
    {
        var seals = SocketNative.Control(file, MemoryCalls.GetSeals, 0);
        if (readOnly && (seals < 0 || (seals & MemoryCalls.SealFutureWrite) == 0))
        {
            throw new PoolProtocolException(
                endPoint, $"A model's file is not sealed against writing (seals {seals}): it is not mapped, because another process could change the weights.");
        }

        if (seals < 0 || (seals & RequiredSeals) != RequiredSeals)
        {
            throw new PoolProtocolException(
                endPoint,
                $"A segment's file is not a memory file sealed against shrinking and growing (seals {seals}): it is not mapped, "
                + "because another process could then end this one by truncating it.");
        }

        if (!SocketNative.TryGetStatus(file, out var actual))
        {
            throw new PoolProtocolException(endPoint, $"A segment's file cannot be examined (errno {Marshal.GetLastPInvokeError()}).");
        }

        if (actual.LengthBytes != lengthBytes || actual.Inode != inode)
        {
            throw new PoolProtocolException(
                endPoint, $"A segment's file has {actual.LengthBytes} B and inode {actual.Inode}; the server said {lengthBytes} B and inode {inode}.");
        }
    }

    [GeneratedRegex(@"\A/proc/[0-9]{1,10}/fd/[0-9]{1,10}\z", RegexOptions.CultureInvariant)]
    private static partial Regex DescriptorPath();
}
