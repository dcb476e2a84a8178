using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Sources;

/// <summary>What the kernel says of an open file: all that is known of one that another process made.</summary>
/// <param name="Seals">Its seals; 0 also for files that cannot have any.</param>
/// <param name="IsRegular">Whether it has bytes at all: no folder, pipe, socket or device.</param>
/// <param name="LengthBytes">Its length.</param>
/// <param name="AllocatedBytes">Bytes that memory stands behind; the rest are holes.</param>
/// <param name="Inode">Tells it from all other memory files of this host.</param>
/// <param name="Pages">What backs it.</param>
internal readonly record struct MemoryFileStatus(
    int Seals, bool IsRegular, long LengthBytes, long AllocatedBytes, ulong Inode, PageChoice Pages)
{
    private const int KindMask = 0xF000;
    private const int RegularFile = 0x8000;
    private const int BlockBytes = 512;

    /// <summary>Whether its length is final, and writing to it is not forbidden.</summary>
    public bool IsSealed => (Seals & MemoryFile.Seals) == MemoryFile.Seals && (Seals & (Libc.SealWrite | Libc.SealFutureWrite)) == 0;

    /// <exception cref="MemorySourceException">The descriptor is not one.</exception>
    public static MemoryFileStatus Read(SafeFileHandle file)
    {
        if (Libc.GetStatus(file, "", Libc.LookAtDescriptor, Libc.StatusBasics, out var status) != 0)
        {
            throw Failure("statx");
        }

        if (Libc.GetFileSystem(file, out var system) != 0)
        {
            throw Failure("fstatfs");
        }

        return new MemoryFileStatus(
            Math.Max(0, Libc.Control(file, Libc.GetSeals, 0)),
            (status.Mode & KindMask) == RegularFile,
            (long)Math.Min(status.LengthBytes, long.MaxValue),
            (long)Math.Min(status.Blocks, long.MaxValue / BlockBytes) * BlockBytes,
            status.Inode,
            system.Kind == Libc.HugeFileSystem
                ? new PageChoice(PageKind.Reserved, system.BlockBytes)
                : new PageChoice(PageKind.Small, Environment.SystemPageSize));
    }

    private static MemorySourceException Failure(string operation) =>
        Errno.Failure(operation, Marshal.GetLastPInvokeError(), 0, "The descriptor does not lead to a file.");
}
