using LpLlm.Memory.Sources;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory;

/// <summary>All log messages of this assembly; ids 1000 to 1099, never renumbered.</summary>
internal static partial class AllocatorsLog
{
    [LoggerMessage(1000, LogLevel.Warning, "Memory is NOT page-locked (AllowPageable is on): device copies from it are slow and it can be swapped. {Reason}")]
    public static partial void PageableMemory(ILogger logger, string reason);

    [LoggerMessage(1001, LogLevel.Information, "Pool '{Pool}' took a slab of {SlabBytes} B from {Source}; {ReservedBytes} of {CapacityBytes} B are reserved")]
    public static partial void SlabAdded(ILogger logger, string pool, long slabBytes, string source, long reservedBytes, long capacityBytes);

    [LoggerMessage(1002, LogLevel.Error, "Pool '{Pool}': a fence failed, so {LengthBytes} B stay pending and are never reused: a device may still write to them")]
    public static partial void FenceFailed(ILogger logger, Exception exception, string pool, long lengthBytes);

    [LoggerMessage(1010, LogLevel.Information, "A region of {LengthBytes} B of {Source} memory is on {Pages} (HugePages is {HugePages})")]
    public static partial void RegionMapped(ILogger logger, string source, long lengthBytes, PageChoice pages, HugePageMode hugePages);
}
