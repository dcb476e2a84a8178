using System.Runtime.InteropServices;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Client;

/// <summary>What a server of real memory files needs beside what the client has.</summary>
internal static partial class MemfdCalls
{
    public const uint CloseOnExec = 1;
    public const uint AllowSealing = 2;
    public const int AddSeals = 1033;
    public const int SealSeal = 1;

    public static SafeFileHandle Create(long lengthBytes, int seals)
    {
        var file = new SafeFileHandle(Check(CreateFile("test-segment", CloseOnExec | AllowSealing)), ownsHandle: true);
        Check(Truncate(file, lengthBytes));
        if (seals != 0)
        {
            Check(SocketNative.Control(file, AddSeals, seals));
        }

        return file;
    }

    public static int Check(int result) => result >= 0 ? result : throw new InvalidOperationException($"errno {Marshal.GetLastPInvokeError()}");

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    public static partial int Truncate(SafeFileHandle file, long lengthBytes);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    public static partial int Allocate(SafeFileHandle file, int mode, long offset, long lengthBytes);

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int CreateFile(string name, uint flags);
}
