using System.Text;

namespace LpLlm.Memory.Models;

public class Crc32CTests
{
    [Theory]
    [InlineData("", 0u)]
    [InlineData("123456789", 0xE3069283u)]
    public void Of_PublishedCheckValues_AreMet(string text, uint expected) => Crc32C.Of(Encoding.ASCII.GetBytes(text)).Should().Be(expected);

    [Fact]
    public void Append_AnyParts_EqualsTheSumBitByBit()
    {
        var random = new Random(5);
        foreach (var length in new[] { 1, 7, 8, 12287, 12288, 12289, 24576, 40000 })
        {
            var bytes = new byte[length];
            random.NextBytes(bytes);
            var sum = new Crc32C();
            for (var done = 0; done < length;)
            {
                var part = Math.Min(random.Next(1, 20000), length - done);
                sum.Append(bytes.AsSpan(done, part));
                done += part;
            }

            sum.Value.Should().Be(BitByBit(bytes), $"{length} B");
            Crc32C.Of(bytes).Should().Be(sum.Value);
        }
    }

    private static uint BitByBit(byte[] bytes)
    {
        var state = uint.MaxValue;
        foreach (var value in bytes)
        {
            state ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                state = (state >> 1) ^ ((state & 1) * 0x82F63B78u);
            }
        }

        return ~state;
    }
}
