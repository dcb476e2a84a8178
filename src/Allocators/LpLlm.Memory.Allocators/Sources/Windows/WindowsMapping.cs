using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Sources.Windows;

/// <summary>Memory on Windows: private, or a view of a section that the page file backs. Pages are the system's.</summary>
[SupportedOSPlatform("windows")]
internal sealed class WindowsMapping : HostMapping
{
    private const string NoMemory = "Not enough memory or page file: lower InitialBytes or CapacityBytes, or enlarge the page file.";

    private WindowsMapping(nint address, long lengthBytes, PageChoice pages, SafeFileHandle? section)
        : base(address, lengthBytes, pages, section)
    {
    }

    public static WindowsMapping Make(long lengthBytes, PageChoice pages, bool shared)
    {
        if (!shared)
        {
            var address = MemoryCalls.Allocate(0, (nint)lengthBytes, MemoryCalls.ReserveAndCommit, MemoryCalls.ReadWrite);
            return address != 0
                ? new WindowsMapping(address, lengthBytes, pages, section: null)
                : throw MemoryCalls.Failure("VirtualAlloc", lengthBytes, NoMemory);
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
        var address = MemoryCalls.Map(section, MemoryCalls.MapWrite, 0, 0, (nint)lengthBytes);
        return address != 0
            ? new WindowsMapping(address, lengthBytes, pages, section)
            : throw MemoryCalls.Failure("MapViewOfFile", lengthBytes, "There are not that many addresses, or the section is shorter.");
    }

    /// <summary>A section's length is final as it is.</summary>
    public override void Seal()
    {
    }

    public override void Destroy()
    {
        File?.Dispose();
        if (File is null ? !MemoryCalls.Free(Address, 0, MemoryCalls.Release) : !MemoryCalls.Unmap(Address))
        {
            throw MemoryCalls.Failure(File is null ? "VirtualFree" : "UnmapViewOfFile", LengthBytes, "The mapping stays until the process ends.");
        }
    }
}
