using System.Globalization;
using System.Numerics;
using LpLlm.Memory.Daemon.Cli;

namespace LpLlm.Memory.Tests;

/// <summary>The original's sizes: its own tests' values and its strictness.</summary>
public class StoreSizeTests
{
    [Theory]
    [InlineData("0B", "0")]
    [InlineData("1B", "1")]
    [InlineData("1KB", "1024")]
    [InlineData("32MB", "33554432")]
    [InlineData("2GB", "2147483648")]
    [InlineData("0001GB", "1073741824")]
    [InlineData("5TB", "5497558138880")]
    [InlineData("1PB", "1125899906842624")]
    [InlineData("1EB", "1152921504606846976")]
    [InlineData("1ZB", "1180591620717411303424")]
    [InlineData("1YB", "1208925819614629174706176")]
    [InlineData("999999999YB", "1208925818405703355091546825293824")]
    [InlineData("340282366920938463463374607431768211456B", "340282366920938463463374607431768211456")] // 2^128
    public void Parse_Size_IsExact(string text, string bytes) =>
        StoreSize.Parse(text).Should().Be(BigInteger.Parse(bytes, CultureInfo.InvariantCulture));

    [Theory]
    [InlineData("")]
    [InlineData("1")]
    [InlineData("GB")]
    [InlineData("1gb")]
    [InlineData("1Gb")]
    [InlineData("1 GB")]
    [InlineData(" 1GB")]
    [InlineData("1GB ")]
    [InlineData("1GB\n")]
    [InlineData("-1GB")]
    [InlineData("+1GB")]
    [InlineData("1.5GB")]
    [InlineData("1e3B")]
    [InlineData("1GiB")]
    [InlineData("1G")]
    [InlineData("1GBB")]
    [InlineData("0x10B")]
    [InlineData("1,000B")]
    [InlineData("١GB")] // an Arabic digit
    public void Parse_AnythingElse_IsInvalidFormat(string text) =>
        FluentActions.Invoking(() => StoreSize.Parse(text)).Should().Throw<FormatException>().Which.Message.Should().Contain("Invalid format");
}
