using FsCheck;
using FsCheck.Fluent;
using LpLlm.Memory.TestKit;

namespace LpLlm.Memory.Models;

/// <summary>What of a model goes where, and in how many copies.</summary>
public class DevicePlanTests
{
    private static readonly SimulatedDevice Device = new();

    [Fact]
    public void U10_RangesThatFollowEachOtherOnBothSides_AreOneCopy()
    {
        var plan = new DevicePlan(Device, [new(16, 116, 8), new(0, 100, 16), new(24, 124, 100), new(200, 300, 8)]);

        plan.Ranges.Should().Equal(new CopyRange(0, 100, 124), new CopyRange(200, 300, 8));
        plan.SourceEnd.Should().Be(208);
    }

    [Fact]
    public void RangesThatFollowEachOtherOnOneSideOnly_AreNotMerged()
    {
        new DevicePlan(Device, [new(0, 100, 16), new(16, 200, 16)]).Ranges.Should().HaveCount(2);
        new DevicePlan(Device, [new(0, 100, 16), new(32, 116, 16)]).Ranges.Should().HaveCount(2);
    }

    [Fact]
    public void EmptyRanges_AreLeftOut()
    {
        var plan = new DevicePlan(Device, [new(5, 100, 0)]);

        plan.Ranges.Should().BeEmpty();
        plan.SourceEnd.Should().Be(0);
        plan.Within(0, 100).Should().BeEmpty();
    }

    /// <summary>Any ranges, in any pieces, however they overlap: every byte goes where a plain loop over all ranges puts it.</summary>
    [Fact]
    public void AnyRangesInAnyPieces_PutEachByteWhereAPlainLoopDoes() => Prop.ForAll(
        Arb.From(Gen.Choose(0, int.MaxValue)),
        seed =>
        {
            const int Length = 200;
            var random = new Random(seed);
            var ranges = Enumerable.Range(0, random.Next(8)).Select(i =>
            {
                var from = random.Next(Length);
                return new CopyRange(from, (nint)(1000 * (i + 1)), random.Next(Length - from + 1));
            }).ToList();
            var expected = ranges.SelectMany(range => Bytes(range)).ToHashSet();
            var plan = new DevicePlan(Device, ranges);

            var actual = new List<(long Source, nint Target)>();
            for (var at = 0; at < Length;)
            {
                var piece = Math.Min(random.Next(1, 50), Length - at);
                actual.AddRange(plan.Within(at, piece).SelectMany(part => Bytes(part)));
                at += piece;
            }

            return actual.Count == expected.Count && expected.SetEquals(actual);

            static IEnumerable<(long Source, nint Target)> Bytes(CopyRange range) =>
                Enumerable.Range(0, (int)range.LengthBytes).Select(i => (range.SourceOffset + i, range.Target + i));
        }).QuickCheckThrowOnFailure();
}
