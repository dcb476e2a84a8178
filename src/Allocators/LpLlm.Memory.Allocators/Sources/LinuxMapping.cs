using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Sources;

/// <summary>
/// A mapping that starts on a boundary of its pages, at least 2 MiB: without that the kernel cannot use huge ones. Private and shared
/// memory differ in one thing only, the file behind the mapping.
/// </summary>
internal sealed class LinuxMapping : HostMapping
{
    private const long MinAlignmentBytes = 2L << 20;

    private LinuxMapping(nint address, long lengthBytes, PageChoice pages, SafeFileHandle? file)
        : base(address, lengthBytes, pages, file)
    {
    }

    public static LinuxMapping Make(long lengthBytes, PageChoice pages, bool shared)
    {
        var file = shared ? MemoryFile.Create(lengthBytes, pages) : null;
        try
        {
            return Over(file, lengthBytes, pages);
        }
        catch
        {
            file?.Dispose();
            throw;
        }
    }

    /// <param name="file">Sealed, so that no other holder can cut it short; null for private memory.</param>
    /// <param name="lengthBytes">Its length, a multiple of the page size.</param>
    /// <param name="pages">What backs it.</param>
    public static LinuxMapping Over(SafeFileHandle? file, long lengthBytes, PageChoice pages)
    {
        var address = pages.Kind == PageKind.Reserved ? MapReserved(lengthBytes, pages, file) : MapAligned(lengthBytes, file);
        var mapping = new LinuxMapping(address, lengthBytes, pages, file);
        mapping.Advise();
        return mapping;
    }

    public override void Seal() => MemoryFile.Seal(File ?? throw new InvalidOperationException("Private memory has no file."), LengthBytes, readOnly: false);

    public override void Destroy()
    {
        File?.Dispose();
        Unmap(Address, LengthBytes);
    }

    /// <summary>The kernel aligns a hugetlb mapping by itself, and claims its pages at once: too few are an ENOMEM here, not a SIGBUS later.</summary>
    private static nint MapReserved(long lengthBytes, PageChoice pages, SafeFileHandle? file)
    {
        var flags = file is null
            ? Libc.MapPrivate | Libc.MapAnonymous | Libc.MapHugePages | Libc.HugePageSizeFlag(pages.Bytes)
            : Libc.MapShared;
        return Map(0, lengthBytes, Libc.ProtReadWrite, flags, file);
    }

    private static nint MapAligned(long lengthBytes, SafeFileHandle? file)
    {
        // The kernel aligns other mappings to 4 KiB only: reserve 2 MiB more of addresses, give the ends back, map over the rest.
        var span = lengthBytes + MinAlignmentBytes;
        var raw = Map(0, span, Libc.ProtNone, Libc.MapPrivate | Libc.MapAnonymous | Libc.MapNoReserve, file: null);
        var address = (raw + (nint)MinAlignmentBytes - 1) & ~((nint)MinAlignmentBytes - 1);
        Unmap(raw, address - raw);
        Unmap(address + (nint)lengthBytes, raw + (nint)span - (address + (nint)lengthBytes));
        var kind = file is null ? Libc.MapPrivate | Libc.MapAnonymous : Libc.MapShared;
        // If this fails the addresses stay reserved: the kernel may have dropped the reservation, and another thread mapped into the gap.
        return Map(address, lengthBytes, Libc.ProtReadWrite, kind | Libc.MapNoReserve | Libc.MapFixed, file);
    }

    private static nint Map(nint at, long lengthBytes, int protection, int flags, SafeFileHandle? file)
    {
        var address = file is null
            ? Libc.Map(at, (nint)lengthBytes, protection, flags, -1, 0)
            : Libc.Map(at, (nint)lengthBytes, protection, flags, file, 0);
        return address != Libc.MapFailed
            ? address
            : throw Errno.Failure(
                "mmap", Marshal.GetLastPInvokeError(), lengthBytes,
                "Not enough address space or memory: lower InitialBytes or CapacityBytes, or raise ulimit -v and vm.max_map_count.");
    }

    private static void Unmap(nint address, long lengthBytes)
    {
        if (lengthBytes > 0 && Libc.Unmap(address, (nint)lengthBytes) != 0)
        {
            throw Errno.Failure("munmap", Marshal.GetLastPInvokeError(), lengthBytes, "The mapping stays until the process ends.");
        }
    }

    /// <summary>Hints; a kernel without one of them answers EINVAL and works the same, only slower.</summary>
    private void Advise()
    {
        if (Pages.Kind is PageKind.Transparent or PageKind.Small)
        {
            _ = Libc.Advise(Address, (nint)LengthBytes, Pages.Kind == PageKind.Transparent ? Libc.AdviseHugePage : Libc.AdviseNoHugePage);
        }

        // A child would share private pages copy-on-write, and the parent's next write would move them from under a device's copy.
        _ = Libc.Advise(Address, (nint)LengthBytes, Libc.AdviseDontFork);
        // Gigabytes of weights and other people's prompts do not belong into a core dump.
        _ = Libc.Advise(Address, (nint)LengthBytes, Libc.AdviseDontDump);
    }
}
