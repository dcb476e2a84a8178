namespace LpLlm.Memory.Tests;

public class ByteSizeTests
{
    [Theory]
    [InlineData("0", 0)]
    [InlineData("4096", 4096)]
    [InlineData("17B", 17)]
    [InlineData("1KB", 1 << 10)]
    [InlineData("1KiB", 1 << 10)]
    [InlineData("512MB", 512L << 20)]
    [InlineData("2GiB", 2L << 30)]
    [InlineData("2 GiB", 2L << 30)]
    [InlineData("2gib", 2L << 30)]
    [InlineData("0001GB", 1L << 30)]
    [InlineData("3TiB", 3L << 40)]
    [InlineData("8191PiB", 8191L << 50)]
    [InlineData("9223372036854775807", long.MaxValue)]
    public void Parse_Size_IsBytesInPowersOf1024(string text, long bytes) => ByteSize.Parse(text).Should().Be(bytes);

    [Theory]
    [InlineData("")]
    [InlineData("GiB")]
    [InlineData("-1")]
    [InlineData("+1")]
    [InlineData("1.5GiB")]
    [InlineData("2G")]
    [InlineData("2iB")]
    [InlineData("2GiBs")]
    [InlineData("2  GiB")]
    [InlineData(" 2GiB")]
    [InlineData("2GiB ")]
    [InlineData("0x10")]
    [InlineData("8192PiB")]
    [InlineData("9223372036854775808")]
    public void Parse_NotASize_NamesTheTextAndWhatIsAccepted(string text)
    {
        var act = () => ByteSize.Parse(text);

        act.Should().Throw<FormatException>().Which.Message.Should().Contain($"'{text}'").And.Contain("2GiB");
        ByteSize.TryParse(text, out var bytes).Should().BeFalse();
        bytes.Should().Be(0);
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1536, "1.5 KiB")]
    [InlineData(2L << 30, "2 GiB")]
    [InlineData(-3L << 20, "-3 MiB")]
    [InlineData(long.MaxValue, "8192 PiB")]
    public void Format_UsesTheLargestUnit(long bytes, string text) => ByteSize.Format(bytes).Should().Be(text);
}
