using System.Numerics;
using FsCheck;
using FsCheck.Fluent;
using LpLlm.Memory.Transport.Engine;

namespace LpLlm.Memory.Transport;

public class SegmentSizesTests
{
    /// <summary>Values at and around every power of two, where arithmetic wraps, and any others.</summary>
    private static readonly Gen<long> Lengths = Gen.Frequency(
        (3, from shift in Gen.Choose(0, 63) from delta in Gen.Choose(-3, 3) select unchecked((1L << shift) + delta)),
        (1, from delta in Gen.Choose(0, 5 << 20) select long.MaxValue - delta),
        (1, from delta in Gen.Choose(0, 5 << 20) select long.MinValue + delta),
        (2, from high in Gen.Choose(int.MinValue, int.MaxValue) from low in Gen.Choose(0, int.MaxValue) select ((long)high << 32) | (uint)low));

    [Fact]
    public void Row11_TryRoundUp_OfAnyLength_AgreesWithUnboundedArithmetic() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(20_000), Prop.ForAll(Arb.From(Lengths), length =>
        {
            var units = (new BigInteger(length) + PoolProtocol.UnitBytes - 1) / PoolProtocol.UnitBytes;
            var exact = units * PoolProtocol.UnitBytes;
            var fits = length > 0 && exact <= long.MaxValue;

            return SegmentSizes.TryRoundUp(length, out var rounded) == fits && rounded == (fits ? (long)exact : 0)
                && SegmentSizes.IsWhole(length) == (length > 0 && exact == length);
        }));

    [Fact]
    public void Row11_Exceeds_OfAnySum_AgreesWithUnboundedArithmetic()
    {
        var positive = Lengths.Select(length => length & long.MaxValue);
        var triples = from used in positive from more in positive from limit in positive select (used, more, limit);

        Check.One(Config.QuickThrowOnFailure.WithMaxTest(20_000), Prop.ForAll(Arb.From(triples), triple =>
            SegmentSizes.Exceeds(triple.used, triple.more, triple.limit) == new BigInteger(triple.used) + triple.more > triple.limit));
    }
}
