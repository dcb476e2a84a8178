using System.Numerics;

namespace LpLlm.Memory.Statistics;

/// <summary>
/// Counts nanoseconds in buckets: exact below 64 ns, then 32 to a power of two up to 52 days (HdrHistogram's layout). A quantile is
/// answered by its bucket's middle, which is at most half of 1/32, 1.6 %, off. Lock-free; recording allocates nothing.
/// </summary>
/// <param name="counters">Holds the buckets: <see cref="CounterCount"/> counters from <paramref name="offset"/> on.</param>
/// <param name="offset">The first of them.</param>
internal sealed class LatencyHistogram(StripedCounters counters, int offset)
{
    /// <summary>Buckets, and one counter for the maximum.</summary>
    public const int CounterCount = BucketCount + 1;

    private const int SubBucketBits = 5;
    private const int SubBuckets = 1 << SubBucketBits;
    private const long MaxValue = (1L << 52) - 1;
    private const int BucketCount = (52 - SubBucketBits + 1) * SubBuckets;

    public void Record(long nanoseconds)
    {
        var value = Math.Clamp(nanoseconds, 0, MaxValue);
        counters.IncrementAndRaise(offset + BucketOf(value), offset + BucketCount, value);
    }

    public LatencySummary Summarize()
    {
        var buckets = new long[BucketCount];
        long count = 0;
        for (var i = 0; i < BucketCount; i++)
        {
            buckets[i] = counters.Sum(offset + i);
            count += buckets[i];
        }

        var max = counters.Highest(offset + BucketCount);
        return new LatencySummary(count, Quantile(500), Quantile(990), Quantile(999), max);

        // The smallest value that so many thousandths of all do not exceed.
        long Quantile(int thousandths)
        {
            var rank = (long)(((Int128)count * thousandths + 999) / 1000);
            var bucket = 0;
            for (var seen = buckets[0]; seen < rank; seen += buckets[bucket])
            {
                bucket++;
            }

            return Math.Min(MiddleOf(bucket), max);
        }
    }

    private static int BucketOf(long value)
    {
        var shift = Math.Max(0, BitOperations.Log2((ulong)value | 1) - SubBucketBits);
        return (shift * SubBuckets) + (int)(value >> shift);
    }

    private static long MiddleOf(int bucket)
    {
        var shift = Math.Max(0, (bucket / SubBuckets) - 1);
        var first = (long)(bucket - (shift * SubBuckets)) << shift;
        return first + (((1L << shift) - 1) / 2);
    }
}
