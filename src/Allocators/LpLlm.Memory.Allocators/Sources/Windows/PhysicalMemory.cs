using System.Runtime.CompilerServices;
using System.Runtime.Versioning;

namespace LpLlm.Memory.Sources.Windows;

/// <summary>How much memory a Windows machine has.</summary>
[SupportedOSPlatform("windows")]
internal static class PhysicalMemory
{
    /// <exception cref="MemorySourceException">Windows does not say.</exception>
    public static (long Bytes, string LimitName) GetAvailable()
    {
        var status = Read();
        return status.AvailableCommit < status.AvailablePhysical
            ? ((long)status.AvailableCommit, "the commit limit (memory and page file)")
            : ((long)status.AvailablePhysical, "the available memory of the machine");
    }

    /// <inheritdoc cref="GetAvailable"/>
    public static (long Bytes, string LimitName) GetTotal() => ((long)Read().TotalPhysical, "the memory of the machine");

    private static MemoryCalls.MemoryStatus Read()
    {
        var status = new MemoryCalls.MemoryStatus { Length = (uint)Unsafe.SizeOf<MemoryCalls.MemoryStatus>() };
        return MemoryCalls.GetStatus(ref status) ? status : throw MemoryCalls.Failure("GlobalMemoryStatusEx", 0, "Without it nobody knows what is free.");
    }
}
