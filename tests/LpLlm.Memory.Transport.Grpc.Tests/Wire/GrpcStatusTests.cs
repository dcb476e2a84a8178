namespace LpLlm.Memory.Transport.Grpc.Wire;

public class GrpcStatusTests
{
    [Theory]
    [InlineData("")]
    [InlineData("plain text, with: all = kinds / of ? signs")]
    [InlineData("quota exceeded: é 100 %")]
    [InlineData("two\nlines\r\n\0🐧")]
    [InlineData("  blanks around  ")]
    public void WriteAndRead_AnyText_ComesBackAndIsAscii(string text)
    {
        var headers = new Dictionary<string, string>();
        new GrpcStatus(8, text, new byte[] { 1, 2, 3, 4 }).Write(headers.Add);

        headers.Values.Should().OnlyContain(value => value.All(c => c > ' ' && c <= '~'));
        var read = GrpcStatus.Read(headers.GetValueOrDefault)!.Value;
        read.Code.Should().Be(8);
        read.Text.Should().Be(text);
        read.Data.ToArray().Should().Equal(1, 2, 3, 4);
    }

    /// <summary>gRPC's C core refuses calls whose trailers are longer than 8 KiB, and the error would be lost with them.</summary>
    [Theory]
    [InlineData("a", 4096)]
    [InlineData(" ", 1365)]
    [InlineData("é", 682)]
    [InlineData("語", 455)]
    [InlineData("🐧", 341)]
    public void Write_LongText_IsCutBetweenCharactersToWhatTrailersMayHave(string character, int kept)
    {
        var headers = new Dictionary<string, string>();
        new GrpcStatus(3, string.Concat(Enumerable.Repeat(character, 4096)), default).Write(headers.Add);

        headers[GrpcNames.Message].Length.Should().BeLessThanOrEqualTo(4096);
        GrpcStatus.Read(headers.GetValueOrDefault)!.Value.Text.Should().Be(string.Concat(Enumerable.Repeat(character, kept)));
    }

    [Fact]
    public void Read_TextAsGrpcCoreWritesIt_IsDecoded() =>
        GrpcStatus.Read(name => name == GrpcNames.Status ? "8" : name == GrpcNames.Message ? "quota exceeded: %C3%A9 %25" : null)!.Value
            .Text.Should().Be("quota exceeded: é %");

    [Theory]
    [InlineData("AQI", 2)]
    [InlineData("AQI=", 2)]
    [InlineData("not base64!", 0)]
    public void Read_DataWithAndWithoutPadding_IsDecodedOrLeftOut(string text, int length) =>
        GrpcStatus.Read(name => name == GrpcNames.Status ? "5" : name == GrpcNames.ErrorData ? text : null)!.Value.Data.Length.Should().Be(length);

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("-1")]
    [InlineData("eight")]
    [InlineData("8,8")]
    [InlineData("99999999999")]
    public void Read_NoNumber_IsNull(string? status) => GrpcStatus.Read(name => name == GrpcNames.Status ? status : null).Should().BeNull();

    [Fact]
    public void ThrowIfError_UnknownCode_IsUnknown() =>
        new GrpcStatus(77, "", default).Invoking(s => s.ThrowIfError()).Should().Throw<PoolFaultException>().Which.Code.Should().Be(PoolFaultCode.Unknown);
}
