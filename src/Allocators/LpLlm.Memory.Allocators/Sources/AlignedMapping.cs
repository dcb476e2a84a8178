using System.Runtime.InteropServices;

namespace LpLlm.Memory.Sources;

/// <summary>Anonymous mappings that start on a 2 MiB boundary, without which the kernel cannot use huge pages.</summary>
internal static class AlignedMapping
{
    public const long AlignmentBytes = 2L << 20;

    /// <param name="lengthBytes">A multiple of the page size.</param>
    public static nint Create(long lengthBytes)
    {
        // The kernel aligns to pages only: take 2 MiB more and give the ends back.
        var span = lengthBytes + AlignmentBytes;
        var raw = Libc.Map(0, (nint)span, Libc.ProtReadWrite, Libc.MapPrivate | Libc.MapAnonymous | Libc.MapNoReserve, -1, 0);
        if (raw == Libc.MapFailed)
        {
            throw Errno.Failure(
                "mmap", Marshal.GetLastPInvokeError(), lengthBytes,
                "Not enough address space or memory: lower InitialBytes or CapacityBytes, or raise ulimit -v and vm.max_map_count.");
        }

        var address = (raw + (nint)AlignmentBytes - 1) & ~((nint)AlignmentBytes - 1);
        var lead = address - raw;
        if (lead > 0)
        {
            Destroy(raw, lead);
        }

        var tail = span - lead - lengthBytes;
        if (tail > 0)
        {
            Destroy(address + (nint)lengthBytes, tail);
        }

        return address;
    }

    /// <summary>Hints; a kernel without one of them answers EINVAL and works the same, only slower.</summary>
    public static void Advise(nint address, long lengthBytes, bool hugePages)
    {
        _ = Libc.Advise(address, (nint)lengthBytes, hugePages ? Libc.AdviseHugePage : Libc.AdviseNoHugePage);
        // A child would share the pages copy-on-write, and the parent's next write would move them from under a device's copy.
        _ = Libc.Advise(address, (nint)lengthBytes, Libc.AdviseDontFork);
        // Gigabytes of weights and other people's prompts do not belong into a core dump.
        _ = Libc.Advise(address, (nint)lengthBytes, Libc.AdviseDontDump);
    }

    public static void Destroy(nint address, long lengthBytes)
    {
        if (Libc.Unmap(address, (nint)lengthBytes) != 0)
        {
            throw Errno.Failure("munmap", Marshal.GetLastPInvokeError(), lengthBytes, "The mapping stays until the process ends.");
        }
    }
}
