using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Sources;

/// <summary>
/// Files in memory (memfd): they have no name, so nothing is left when the last process that holds one dies, and a descriptor is all
/// that another process needs to map the same pages.
/// </summary>
internal static class MemoryFile
{
    /// <summary>Length and seals are final: whoever maps the file cannot be made to fault by another holder that truncates it.</summary>
    public const int Seals = LengthSeals | Libc.SealSeal;

    private const int LengthSeals = Libc.SealShrink | Libc.SealGrow;

    private const string Remedy = "Shared=true needs Linux 4.16 with memfd_create and seals: raise ulimit -n, or set Shared to false.";

    /// <summary>Makes a file whose length is final; its seals are not, before <see cref="Seal"/>.</summary>
    /// <param name="lengthBytes">A multiple of the page size.</param>
    /// <param name="pages">Which pages are to back it.</param>
    public static SafeFileHandle Create(long lengthBytes, PageChoice pages)
    {
        var flags = Libc.MemfdCloseOnExec | Libc.MemfdAllowSealing | HugeFlags(pages);
        // NOEXEC_SEAL came with Linux 6.3; before it the call knows no such flag.
        var descriptor = Libc.CreateMemoryFile("lpllm-memory", flags | Libc.MemfdNoExecSeal);
        if (descriptor < 0 && Marshal.GetLastPInvokeError() == Errno.EInval)
        {
            descriptor = Libc.CreateMemoryFile("lpllm-memory", flags);
        }

        Check(descriptor, "memfd_create", lengthBytes);
        var file = new SafeFileHandle(descriptor, ownsHandle: true);
        try
        {
            Check(Libc.Truncate(file, lengthBytes), "ftruncate", lengthBytes);
            Check(Libc.Control(file, Libc.AddSeals, LengthSeals), "fcntl(F_ADD_SEALS)", lengthBytes);
            // A memfd is open to everybody: through /proc/self/fd another user could turn a read-only descriptor into a writable one.
            Check(Libc.ChangeMode(file, Convert.ToUInt32("600", 8)), "fchmod", lengthBytes);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Makes the seals final.</summary>
    /// <param name="file">Not sealed before.</param>
    /// <param name="lengthBytes">Its length.</param>
    /// <param name="readOnly">
    /// Only mappings that exist now can write to it, and nobody can take pages out of it (FUTURE_WRITE): neither through a descriptor nor by
    /// opening it anew, whatever the user.
    /// </param>
    /// <exception cref="MemorySourceException">The kernel has no such seal.</exception>
    public static void Seal(SafeFileHandle file, long lengthBytes, bool readOnly)
    {
        var seals = Libc.SealSeal | (readOnly ? Libc.SealFutureWrite : 0);
        if (Libc.Control(file, Libc.AddSeals, seals) < 0)
        {
            throw Errno.Failure(
                "fcntl(F_ADD_SEALS)", Marshal.GetLastPInvokeError(), lengthBytes,
                readOnly ? "Memory that others can only read needs Linux 5.1." : Remedy);
        }
    }

    /// <summary>Gives all pages of a file back at once, whoever maps it: they read zeros afterwards.</summary>
    public static void FreePages(SafeFileHandle file, long lengthBytes)
    {
        int result;
        do
        {
            result = Libc.Allocate(file, Libc.AllocateKeepSize | Libc.AllocatePunchHole, 0, lengthBytes);
        }
        while (result < 0 && Marshal.GetLastPInvokeError() == Errno.EIntr);
        Check(result, "fallocate(PUNCH_HOLE)", lengthBytes);
    }

    private static uint HugeFlags(PageChoice pages) =>
        pages.Kind == PageKind.Reserved ? Libc.MemfdHugePages | (uint)Libc.HugePageSizeFlag(pages.Bytes) : 0;

    private static void Check(int result, string operation, long lengthBytes)
    {
        if (result < 0)
        {
            throw Errno.Failure(operation, Marshal.GetLastPInvokeError(), lengthBytes, Remedy);
        }
    }
}
