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

    [LoggerMessage(1020, LogLevel.Information, "Pool '{Pool}' took {Blocks} blocks, {StrideBytes} B apart, from {Source}")]
    public static partial void BlocksReserved(ILogger logger, string pool, int blocks, long strideBytes, string source);

    [LoggerMessage(1021, LogLevel.Warning, "Pool '{Pool}' answered that it has no room, because {Source} refused its memory")]
    public static partial void BlocksRefused(ILogger logger, Exception exception, string pool, string source);

    [LoggerMessage(1022, LogLevel.Error, "Pool '{Pool}': {LengthBytes} B could not be unpinned; they stay reserved, and the pool does not open again")]
    public static partial void BlocksQuarantined(ILogger logger, Exception exception, string pool, long lengthBytes);

    [LoggerMessage(1030, LogLevel.Warning, "Pool '{Pool}': its member '{Member}' is unavailable and is passed by until it works again. {Reason}")]
    public static partial void MemberUnavailable(ILogger logger, string pool, string member, string reason);

    [LoggerMessage(1031, LogLevel.Information, "Pool '{Pool}': its member '{Member}' works again")]
    public static partial void MemberRecovered(ILogger logger, string pool, string member);
}
