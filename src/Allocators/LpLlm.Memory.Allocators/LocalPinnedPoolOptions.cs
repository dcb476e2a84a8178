using System.Globalization;
using LpLlm.Memory.Tlsf;

namespace LpLlm.Memory;

/// <summary>Options of a pool over this process's own memory. Fixed once the pool exists.</summary>
public sealed class LocalPinnedPoolOptions
{
    /// <summary>Page granularity that every size here must be a multiple of.</summary>
    internal const long GranularityBytes = 4096;

    /// <summary>The most bytes the pool may ever take. Required: a multiple of 4 KiB, at least 4 KiB.</summary>
    public long CapacityBytes { get; set; }

    /// <summary>
    /// Bytes taken when the pool opens, rounded up to whole slabs; 0 takes nothing before the first rent.
    /// Default null: one slab. A multiple of 4 KiB, at most <see cref="CapacityBytes"/>.
    /// </summary>
    public long? InitialBytes { get; set; }

    /// <summary>
    /// Bytes the pool grows by, and with that the largest block it serves (less where <see cref="CapacityBytes"/> is smaller).
    /// Default 1 GiB. A multiple of 4 KiB, at most 1 TiB; finding room looks at every slab, so keep them to a few dozen.
    /// </summary>
    public long SlabBytes { get; set; } = 1L << 30;

    /// <summary>Asks the kernel for 2 MiB pages (MADV_HUGEPAGE): ten times faster to populate and lock. Default true; harmless where unavailable.</summary>
    public bool TransparentHugePages { get; set; } = true;

    /// <summary>
    /// Goes on with memory that is not page-locked when the system refuses to lock it. Default false: the pool fails instead.
    /// When it happens, leases and snapshot say so and a warning is logged once.
    /// </summary>
    public bool AllowPageable { get; set; }

    /// <summary>How long <see cref="IPinnedMemoryPool.RentAsync"/> waits for room before it fails. Above 0, at most 24 days. Default 30 s.</summary>
    public TimeSpan RentTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long disposing the pool waits for live leases before it throws. 0 to 24 days. Default 10 s.</summary>
    public TimeSpan DisposeTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>The one rule book: adds a sentence with name and value for everything that is wrong.</summary>
    internal void Validate(ICollection<string> errors)
    {
        CheckSize(errors, nameof(CapacityBytes), CapacityBytes, GranularityBytes, long.MaxValue);
        CheckSize(errors, nameof(SlabBytes), SlabBytes, GranularityBytes, TlsfAllocator.MaxCapacityBytes);
        if (InitialBytes is { } initial)
        {
            CheckSize(errors, nameof(InitialBytes), initial, 0, long.MaxValue);
            if (initial > CapacityBytes && CapacityBytes >= GranularityBytes)
            {
                errors.Add($"{nameof(InitialBytes)} is {initial}, more than {nameof(CapacityBytes)} ({CapacityBytes}).");
            }
        }

        // Longest wait a timer takes: 2^32 - 2 ms is 49 days; half of that leaves room for arithmetic.
        CheckTime(errors, nameof(RentTimeout), RentTimeout, TimeSpan.FromMilliseconds(1));
        CheckTime(errors, nameof(DisposeTimeout), DisposeTimeout, TimeSpan.Zero);
    }

    private static void CheckSize(ICollection<string> errors, string name, long value, long least, long most)
    {
        if (value < least || value > most || value % GranularityBytes != 0)
        {
            var limit = most == long.MaxValue ? "" : $" and at most {most}";
            errors.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"{name} is {value}; it must be a multiple of {GranularityBytes}, at least {least}{limit}."));
        }
    }

    private static void CheckTime(ICollection<string> errors, string name, TimeSpan value, TimeSpan least)
    {
        if (value < least || value > TimeSpan.FromDays(24))
        {
            errors.Add($"{name} is {value:c}; it must be from {least:c} to 24.00:00:00.");
        }
    }
}
