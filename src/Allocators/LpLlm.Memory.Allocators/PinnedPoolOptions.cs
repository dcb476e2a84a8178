using System.Globalization;
using LpLlm.Memory.Tlsf;

namespace LpLlm.Memory;

/// <summary>What the options of every pool have in common.</summary>
public abstract class PinnedPoolOptions
{
    /// <summary>Page granularity that sizes of memory must be a multiple of.</summary>
    internal const long GranularityBytes = 4096;

    /// <summary>Longest wait a timer takes: 2^32 - 2 ms is 49 days; half of that leaves room for arithmetic.</summary>
    internal static readonly TimeSpan LongestWait = TimeSpan.FromDays(24);

    private protected PinnedPoolOptions()
    {
    }

    /// <summary>
    /// How long a rent without room waits for device work behind which memory was returned (<see cref="PinnedLease.ReturnAfter"/>), before
    /// it fails. 0 (not at all) to 24 days. Default 100 ms, the time of a copy of 5 GiB.
    /// </summary>
    public TimeSpan FenceTimeout { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>How long an asynchronous rent waits for room before it fails, unless it says so itself. Above 0, at most 24 days. Default 30 s.</summary>
    public TimeSpan RentTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long disposing the pool waits for live leases before it throws. 0 to 24 days. Default 10 s.</summary>
    public TimeSpan DisposeTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>The one rule book: adds a sentence with name and value for everything that is wrong.</summary>
    internal virtual void Validate(ICollection<string> errors)
    {
        CheckTime(errors, nameof(FenceTimeout), FenceTimeout, TimeSpan.Zero);
        CheckTime(errors, nameof(RentTimeout), RentTimeout, TimeSpan.FromMilliseconds(1));
        CheckTime(errors, nameof(DisposeTimeout), DisposeTimeout, TimeSpan.Zero);
    }

    private protected static void CheckSize(ICollection<string> errors, string name, long value, long least, long most)
    {
        if (value < least || value > most || value % GranularityBytes != 0)
        {
            var limit = most == long.MaxValue ? "" : $" and at most {most}";
            errors.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"{name} is {value}; it must be a multiple of {GranularityBytes}, at least {least}{limit}."));
        }
    }

    /// <summary>What goes for every pool that grows by slabs.</summary>
    private protected static void CheckSlabs(
        ICollection<string> errors, long capacityBytes, long? initialBytes, long slabBytes, long threadCacheBytes)
    {
        CheckSize(errors, "CapacityBytes", capacityBytes, GranularityBytes, long.MaxValue);
        CheckSize(errors, "SlabBytes", slabBytes, GranularityBytes, TlsfAllocator.MaxCapacityBytes);
        CheckSize(errors, "ThreadCacheBytes", threadCacheBytes, 0, TlsfAllocator.MaxCapacityBytes);
        if (initialBytes is { } initial)
        {
            CheckSize(errors, "InitialBytes", initial, 0, long.MaxValue);
            if (initial > capacityBytes && capacityBytes >= GranularityBytes)
            {
                errors.Add($"InitialBytes is {initial}, more than CapacityBytes ({capacityBytes}).");
            }
        }
    }

    internal static void CheckTime(ICollection<string> errors, string name, TimeSpan value, TimeSpan least)
    {
        if (value < least || value > LongestWait)
        {
            errors.Add($"{name} is {value:c}; it must be from {least:c} to {LongestWait:c}.");
        }
    }
}
