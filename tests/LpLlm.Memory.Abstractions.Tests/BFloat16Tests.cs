namespace LpLlm.Memory.Tests;

public class BFloat16Tests
{
    [Fact]
    public void Conversion_EveryBitPattern_RoundTrips()
    {
        for (var bits = 0; bits <= ushort.MaxValue; bits++)
        {
            var value = BFloat16.FromBits((ushort)bits);
            var back = (BFloat16)(float)value;
            if (float.IsNaN(value))
            {
                float.IsNaN(back).Should().BeTrue();
            }
            else
            {
                back.Bits.Should().Be((ushort)bits);
            }
        }
    }

    [Fact]
    public void FromSingle_AnyNumber_IsTheNearestWithTiesToEven()
    {
        var random = new Random(3);
        for (var i = 0; i < 200_000; i++)
        {
            var value = BitConverter.Int32BitsToSingle(random.Next(int.MinValue, int.MaxValue));
            if (!float.IsFinite(value))
            {
                continue;
            }

            var below = BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) & 0xFFFF0000);
            var above = BitConverter.UInt32BitsToSingle((BitConverter.SingleToUInt32Bits(value) & 0xFFFF0000) + 0x10000);
            double toBelow = Math.Abs((double)value - below), toAbove = Math.Abs((double)above - value);
            var evenIsBelow = ((BitConverter.SingleToUInt32Bits(below) >> 16) & 1) == 0;
            var expected = toBelow < toAbove || (toBelow == toAbove && evenIsBelow) ? below : above;

            if (float.IsFinite(above))
            {
                ((float)(BFloat16)value).Should().Be(expected);
            }
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    [InlineData(0f)]
    [InlineData(1f)]
    public void FromSingle_SpecialValues_AreKept(float value) => ((float)(BFloat16)value).Should().Be(value);

    [Fact]
    public void FromSingle_NegativeZero_KeepsItsSign() => ((BFloat16)(-0f)).Bits.Should().Be(0x8000);

    [Fact]
    public void FromSingle_NaNWhoseUpperBitsLookInfinite_StaysNaN() =>
        float.IsNaN((BFloat16)BitConverter.UInt32BitsToSingle(0x7F800001)).Should().BeTrue();

    [Fact]
    public void FromSingle_BeyondTheLargest_IsInfinity() => ((float)(BFloat16)float.MaxValue).Should().Be(float.PositiveInfinity);

    [Fact]
    public void Comparison_FollowsIeee()
    {
        var one = (BFloat16)1f;
        var nan = (BFloat16)float.NaN;

        (one < (BFloat16)2f).Should().BeTrue();
        (one >= nan || one < nan).Should().BeFalse();
        ((BFloat16)0f == (BFloat16)(-0f)).Should().BeTrue();
        (nan == BFloat16.FromBits(nan.Bits)).Should().BeFalse();
        nan.Equals(BFloat16.FromBits(nan.Bits)).Should().BeTrue("Equals is for dictionaries");
        one.ToString().Should().Be("1");
    }
}
