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

    [LoggerMessage(1012, LogLevel.Information, "The kernel would not merge all pages of a region of {LengthBytes} B of {Source} memory to huge ones ({Error}): it has pages of 4 KiB, which are slower to lock, map and give back. Said once; EINVAL is a kernel before Linux 6.1, ENOMEM memory in pieces")]
    public static partial void PagesNotMerged(ILogger logger, string source, long lengthBytes, string error);

    [LoggerMessage(1011, LogLevel.Debug, "A segment of {LengthBytes} B is on {Pages} (HugePages is {HugePages})")]
    public static partial void SegmentMapped(ILogger logger, long lengthBytes, PageChoice pages, HugePageMode hugePages);

    [LoggerMessage(1003, LogLevel.Warning, "Pool '{Pool}' had no room for {LengthBytes} B and could not grow")]
    public static partial void GrowthRefused(ILogger logger, Exception exception, string pool, long lengthBytes);

    [LoggerMessage(1004, LogLevel.Error, "Pool '{Pool}': {LengthBytes} B could not be page-unlocked; they stay mapped and count against the capacity")]
    public static partial void RegionQuarantined(ILogger logger, Exception exception, string pool, long lengthBytes);

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

    [LoggerMessage(1040, LogLevel.Warning, "Pool '{Pool}': more than {WatermarkBytes} B are rented, the limit is {LimitBytes} B")]
    public static partial void WatermarkRisen(ILogger logger, string pool, long watermarkBytes, long limitBytes);

    [LoggerMessage(1041, LogLevel.Information, "Pool '{Pool}': at most {FallBytes} B are rented again, the watermark is {WatermarkBytes} B")]
    public static partial void WatermarkFallen(ILogger logger, string pool, long fallBytes, long watermarkBytes);

    [LoggerMessage(1042, LogLevel.Error, "Pool '{Pool}': the host's OnWatermark threw")]
    public static partial void WatermarkCallbackFailed(ILogger logger, Exception exception, string pool);

    [LoggerMessage(1043, LogLevel.Error, "Pool '{Pool}': a fence failed, so {LengthBytes} B count against the limit for ever")]
    public static partial void LimitFenceFailed(ILogger logger, Exception exception, string pool, long lengthBytes);

    [LoggerMessage(1050, LogLevel.Error, "Tracing of pool '{Pool}' to {Path} has stopped; the pool goes on")]
    public static partial void TraceFailed(ILogger logger, Exception exception, string pool, string path);

    [LoggerMessage(1051, LogLevel.Warning, "Tracing of pool '{Pool}' to {Path} lost {Lost} events, and may lose more: BufferedEventCount ({Count}) is too small. The trace cannot be replayed")]
    public static partial void TraceLostEvents(ILogger logger, string pool, string path, long lost, int count);

    [LoggerMessage(1052, LogLevel.Warning, "Tracing of pool '{Pool}' to {Path} has stopped: the file has MaxBytes ({MaxBytes}); what it holds can be replayed")]
    public static partial void TraceFull(ILogger logger, string pool, string path, long maxBytes);

    [LoggerMessage(1053, LogLevel.Error, "Pool '{Pool}': {Kind} of the lease of {LengthBytes} B at {Address:x}, first damaged byte {Damage}. Rented at:\n{RentedAt}\nReturned at:\n{ReturnedAt}\nReturned again at:\n{ReturnedAgainAt}")]
    public static partial void LeaseFault(
        ILogger logger, string pool, LeaseFaultKind kind, long lengthBytes, nint address, long? damage, string? rentedAt, string? returnedAt, string? returnedAgainAt);
}
