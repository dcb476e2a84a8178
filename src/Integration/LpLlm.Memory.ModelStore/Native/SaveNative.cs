using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Models;

/// <summary>The system calls of saving, each of whose results is looked at.</summary>
internal static partial class SaveNative
{
    public const int InvalidArgument = 22;
    public const int NotImplemented = 38;
    public const int NotSupported = 95;
    private const int Interrupted = 4;
    private const int WriteOnly = 1;
    private const int ReadOnly = 0;
    private const int Create = 0x40;
    private const int Exclusive = 0x80;
    private const int CloseOnExec = 0x80000;
    private const int CurrentFolder = -100;
    private const uint ExchangeNames = 2;
    private const int LockExclusiveNow = 2 | 4;
    private const int SetFlags = 4;
    private const uint ReadWriteForAll = 0x1b6; // 0666, less the umask

    // The numbers of these two are the architecture's own.
    private static readonly int Direct = RuntimeInformation.ProcessArchitecture is Architecture.Arm64 ? 0x10000 : 0x4000;
    private static readonly int Folder = RuntimeInformation.ProcessArchitecture is Architecture.Arm64 ? 0x4000 : 0x10000;

    /// <summary>Creates a file that must not exist, for writes past the page cache where the file system can.</summary>
    /// <exception cref="IOException">It cannot be created.</exception>
    public static (SafeFileHandle File, bool IsDirect) CreateFile(string path, bool direct)
    {
        var file = Open(path, WriteOnly | Create | Exclusive | CloseOnExec | (direct ? Direct : 0), ReadWriteForAll);
        if (!file.IsInvalid)
        {
            return (file, direct);
        }

        var failure = Failure($"create {path}");
        file.Dispose();
        if (!direct || failure.HResult != InvalidArgument)
        {
            throw failure;
        }

        // A file system may have created the name before it refused the flag.
        File.Delete(path);
        return CreateFile(path, direct: false);
    }

    /// <summary>Writes all of it.</summary>
    /// <exception cref="IOException">The disk refused; <see cref="Exception.HResult"/> is the error number.</exception>
    public static unsafe void Write(SafeFileHandle file, string path, ReadOnlySpan<byte> bytes, long offsetBytes)
    {
        while (bytes.Length > 0)
        {
            nint written;
            fixed (byte* first = bytes)
            {
                written = WriteAt(file, first, bytes.Length, offsetBytes);
            }

            if (written <= 0)
            {
                var failure = Failure($"write {bytes.Length} B at byte {offsetBytes} of {path}");
                if (written < 0 && failure.HResult == Interrupted)
                {
                    continue;
                }

                throw failure;
            }

            bytes = bytes[(int)written..];
            offsetBytes += written;
        }
    }

    /// <summary>Lets writes go through the page cache from now on, of any length and from any address.</summary>
    public static void StopDirect(SafeFileHandle file, string path) => Check(Control(file, SetFlags, 0), $"change the flags of {path}");

    public static void Truncate(SafeFileHandle file, string path, long lengthBytes) => Check(SetLength(file, lengthBytes), $"set the length of {path}");

    public static void Sync(SafeFileHandle file, string path) => Check(Flush(file), $"flush {path} to the disk");

    /// <summary>Claims a folder as long as the handle is open.</summary>
    /// <returns>Null if somebody has it, or it cannot be claimed.</returns>
    public static SafeFileHandle? TryLockFolder(string path)
    {
        var folder = Open(path, ReadOnly | Folder | CloseOnExec, 0);
        if (!folder.IsInvalid && Lock(folder, LockExclusiveNow) == 0)
        {
            return folder;
        }

        folder.Dispose();
        return null;
    }

    /// <summary>Makes what is named in a folder survive a loss of power.</summary>
    public static void SyncFolder(string path)
    {
        using var folder = Open(path, ReadOnly | Folder | CloseOnExec, 0);
        Check(folder.IsInvalid ? -1 : 0, $"open {path}");

        // Some network file systems have no such call for folders, and keep names safe by themselves.
        if (Flush(folder) != 0 && Marshal.GetLastPInvokeError() != InvalidArgument)
        {
            throw Failure($"flush {path} to the disk");
        }
    }

    /// <returns>False if the file system cannot do that.</returns>
    /// <exception cref="IOException">It can, but refuses.</exception>
    public static bool TryExchange(string first, string second)
    {
        if (Rename(CurrentFolder, first, CurrentFolder, second, ExchangeNames) == 0)
        {
            return true;
        }

        return Marshal.GetLastPInvokeError() is InvalidArgument or NotImplemented or NotSupported ? false : throw Failure($"exchange {first} and {second}");
    }

    private static void Check(int result, string action)
    {
        if (result != 0)
        {
            throw Failure(action);
        }
    }

    private static IOException Failure(string action)
    {
        var error = Marshal.GetLastPInvokeError();
        return new IOException($"Cannot {action}: {Marshal.GetPInvokeErrorMessage(error)}", error);
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "pwrite", SetLastError = true)]
    private static unsafe partial nint WriteAt(SafeFileHandle file, byte* bytes, nint count, long offset);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Control(SafeFileHandle file, int command, int argument);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int Lock(SafeFileHandle folder, int operation);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    private static partial int SetLength(SafeFileHandle file, long lengthBytes);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Flush(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "renameat2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Rename(int firstFolder, string first, int secondFolder, string second, uint flags);
}
