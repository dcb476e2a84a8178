using System.Numerics;
using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Statistics;

/// <summary>
/// A row of counters for each processor, so that two threads which count at the same time do not fight for a cache line.
/// Exact: a thread that is moved to another processor in between meets atomic instructions there.
/// </summary>
/// <param name="count">Counters in a row.</param>
internal sealed class StripedCounters(int count)
{
    /// <summary>Two cache lines before and behind a row: processors fetch lines in pairs.</summary>
    private const int PaddingLongs = 16;

    private static readonly int StripeCount = (int)BitOperations.RoundUpToPowerOf2((uint)Environment.ProcessorCount);

    private readonly long[]?[] _stripes = new long[]?[StripeCount];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Add(int index, long value) => Interlocked.Add(ref Own(index), value);

    /// <summary>Counts one, and raises another counter of the row to a value unless it is there already.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void IncrementAndRaise(int index, int highIndex, long value)
    {
        Interlocked.Increment(ref Own(index));
        ref var high = ref Own(highIndex);
        for (var seen = Volatile.Read(ref high); value > seen;)
        {
            var found = Interlocked.CompareExchange(ref high, value, seen);
            seen = found == seen ? value : found;
        }
    }

    public long Sum(int index)
    {
        long sum = 0;
        foreach (var stripe in _stripes)
        {
            sum += stripe is null ? 0 : Volatile.Read(ref stripe[PaddingLongs + index]);
        }

        return sum;
    }

    public long Highest(int index)
    {
        long highest = 0;
        foreach (var stripe in _stripes)
        {
            highest = Math.Max(highest, stripe is null ? 0 : Volatile.Read(ref stripe[PaddingLongs + index]));
        }

        return highest;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref long Own(int index)
    {
        var number = Thread.GetCurrentProcessorId() & (StripeCount - 1);
        var stripe = Volatile.Read(ref _stripes[number]) ?? Create(number);
        return ref stripe[PaddingLongs + index];
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private long[] Create(int number)
    {
        var stripe = new long[PaddingLongs + count + PaddingLongs];
        return Interlocked.CompareExchange(ref _stripes[number], stripe, null) ?? stripe;
    }
}
