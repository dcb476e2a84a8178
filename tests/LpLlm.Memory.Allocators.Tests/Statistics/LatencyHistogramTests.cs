using FsCheck;
using FsCheck.Fluent;
using LpLlm.Memory.Statistics;

namespace LpLlm.Memory.Tests.Statistics;

public class LatencyHistogramTests
{
    private const long LargestNanoseconds = (1L << 52) - 1;

    /// <summary>All magnitudes alike, as latencies are.</summary>
    private static readonly Gen<long> Values =
        Gen.Choose(0, 50).SelectMany(log => Gen.Choose(0, 1023).Select(part => (1L << log) + (((1L << log) * part) >> 10)));

    [Fact]
    public void Summarize_AnyValues_QuantilesAreWithin1In64OfTheExactOnes() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(300),
        Prop.ForAll(Arb.From(Values.NonEmptyListOf()), values =>
        {
            var summary = Record([.. values]);
            var sorted = values.Order().ToList();

            summary.Count.Should().Be(values.Count);
            summary.MaxNanoseconds.Should().Be(sorted[^1]);
            AssertNear(summary.P50Nanoseconds, Exact(sorted, 500));
            AssertNear(summary.P99Nanoseconds, Exact(sorted, 990));
            AssertNear(summary.P999Nanoseconds, Exact(sorted, 999));
        }));

    [Fact]
    public void Summarize_TenThousandValues_TheTailIsRight()
    {
        var summary = Record([.. Enumerable.Range(1, 10_000).Select(i => i * 1000L)]);

        AssertNear(summary.P50Nanoseconds, 5_000_000);
        AssertNear(summary.P99Nanoseconds, 9_900_000);
        AssertNear(summary.P999Nanoseconds, 9_990_000);
        summary.MaxNanoseconds.Should().Be(10_000_000);
    }

    [Fact]
    public void Record_Below64_IsExact()
    {
        for (var value = 0L; value < 64; value++)
        {
            Record([value, 1000]).P50Nanoseconds.Should().Be(value);
        }
    }

    [Theory]
    [InlineData(-1, 0)]
    [InlineData(LargestNanoseconds, LargestNanoseconds)]
    [InlineData(long.MaxValue, LargestNanoseconds)]
    public void Record_OutOfRange_CountsAtTheEnd(long nanoseconds, long max) =>
        Record([nanoseconds]).Should().Match<LatencySummary>(s => s.Count == 1 && s.MaxNanoseconds == max);

    [Fact]
    public void Summarize_Nothing_IsZero() => Record([]).Should().Be(default(LatencySummary));

    [Fact]
    public void Record_TwoHistogramsOfOneRow_AreApart()
    {
        var counters = new StripedCounters(2 * LatencyHistogram.CounterCount);
        var first = new LatencyHistogram(counters, 0);
        var second = new LatencyHistogram(counters, LatencyHistogram.CounterCount);

        first.Record(LargestNanoseconds);
        second.Record(0);

        first.Summarize().Should().Match<LatencySummary>(s => s.Count == 1 && s.MaxNanoseconds == LargestNanoseconds);
        second.Summarize().Should().Be(new LatencySummary(1, 0, 0, 0, 0));
    }

    [Fact]
    public async Task Record_ManyThreads_NothingIsLost()
    {
        var sut = new LatencyHistogram(new StripedCounters(LatencyHistogram.CounterCount), 0);
        var threads = Enumerable.Range(1, 4).Select(id => Task.Run(() =>
        {
            for (var i = 1; i <= 100_000; i++)
            {
                sut.Record((id * 1_000_000L) + i);
            }
        }));

        await Task.WhenAll(threads).DefaultTimeout();

        sut.Summarize().Should().Match<LatencySummary>(s => s.Count == 400_000 && s.MaxNanoseconds == 4_100_000);
    }

    private static LatencySummary Record(long[] values)
    {
        var sut = new LatencyHistogram(new StripedCounters(LatencyHistogram.CounterCount), 0);
        Array.ForEach(values, sut.Record);
        return sut.Summarize();
    }

    private static long Exact(List<long> sorted, int thousandths) => sorted[(int)(((sorted.Count * (long)thousandths) + 999) / 1000) - 1];

    private static void AssertNear(long actual, long exact) =>
        ((double)Math.Abs(actual - exact)).Should().BeLessThanOrEqualTo(exact / 64.0, "{0} stands for {1}", actual, exact);
}
