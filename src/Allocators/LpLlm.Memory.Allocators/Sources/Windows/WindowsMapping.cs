using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Sources.Windows;

/// <summary>Memory on Windows: private, or a view of a section that the page file backs. Pages are the system's; it starts on a boundary of 2 MiB.</summary>
[SupportedOSPlatform("windows")]
internal sealed class WindowsMapping : HostMapping
{
    /// <summary>Windows itself aligns to 64 KiB.</summary>
    private const nint AlignmentBytes = 2 << 20;

    private const int MaxTries = 64;

    private const string NoMemory = "Not enough memory or page file: lower InitialBytes or CapacityBytes, or enlarge the page file.";

    /// <summary>Of the reservation around private memory.</summary>
    private readonly nint _reservation;

    private WindowsMapping(nint address, long lengthBytes, PageChoice pages, SafeFileHandle? section, nint reservation)
        : base(address, lengthBytes, pages, section)
    {
        _reservation = reservation;
    }

    public static WindowsMapping Make(long lengthBytes, PageChoice pages, bool shared)
    {
        if (!shared)
        {
            return MakePrivate(lengthBytes, pages);
        }

        var section = MemorySection.Create(lengthBytes);
        try
        {
            return Over(section, lengthBytes, pages);
        }
        catch
        {
            section.Dispose();
            throw;
        }
    }

    public static WindowsMapping Over(SafeFileHandle section, long lengthBytes, PageChoice pages)
    {
        for (var i = 0; i < MaxTries; i++)
        {
            // A view goes where nothing is reserved: between these calls another thread may be quicker, and then other addresses are tried.
            var found = Reserve(lengthBytes);
            var address = Align(found);
            if (MemoryCalls.Free(found, 0, MemoryCalls.Release)
                && MemoryCalls.Map(section, MemoryCalls.MapWrite, 0, 0, (nint)lengthBytes, address) == address)
            {
                return new WindowsMapping(address, lengthBytes, pages, section, reservation: 0);
            }
        }

        throw MemoryCalls.Failure("MapViewOfFileEx", lengthBytes, "The section is shorter, or other threads take all addresses.");
    }

    /// <summary>A section's length is final as it is.</summary>
    public override void Seal()
    {
    }

    public override void Destroy()
    {
        File?.Dispose();
        if (File is null ? !MemoryCalls.Free(_reservation, 0, MemoryCalls.Release) : !MemoryCalls.Unmap(Address))
        {
            throw MemoryCalls.Failure(File is null ? "VirtualFree" : "UnmapViewOfFile", LengthBytes, "The mapping stays until the process ends.");
        }
    }

    private static WindowsMapping MakePrivate(long lengthBytes, PageChoice pages)
    {
        var found = Reserve(lengthBytes);
        var address = Align(found);
        if (MemoryCalls.Allocate(address, (nint)lengthBytes, MemoryCalls.Commit, MemoryCalls.ReadWrite) == address)
        {
            return new WindowsMapping(address, lengthBytes, pages, section: null, found);
        }

        var failure = MemoryCalls.Failure("VirtualAlloc", lengthBytes, NoMemory);
        MemoryCalls.Free(found, 0, MemoryCalls.Release);
        throw failure;
    }

    private static nint Reserve(long lengthBytes)
    {
        var found = MemoryCalls.Allocate(0, (nint)lengthBytes + AlignmentBytes, MemoryCalls.Reserve, MemoryCalls.ReadWrite);
        return found != 0 ? found : throw MemoryCalls.Failure("VirtualAlloc", lengthBytes, NoMemory);
    }

    private static nint Align(nint address) => (address + AlignmentBytes - 1) & ~(AlignmentBytes - 1);
}
