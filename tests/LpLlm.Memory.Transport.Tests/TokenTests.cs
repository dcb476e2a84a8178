namespace LpLlm.Memory.Transport;

public class TokenTests
{
    [Fact]
    public void TryParse_OfItsBytes_IsTheSameToken()
    {
        var token = Token.Create();

        Token.TryParse(token.ToBytes(), out var parsed).Should().BeTrue();
        parsed.Should().Be(token);
        Token.Create().Should().NotBe(token);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(15)]
    [InlineData(16)]
    [InlineData(17)]
    public void TryParse_OfZerosOrAnotherLength_IsFalse(int length) =>
        Token.TryParse(new byte[length], out _).Should().BeFalse();

    [Fact]
    public void ToString_HoldsNoByteOfTheSecret()
    {
        var token = Token.Create();

        Convert.ToHexStringLower(token.ToBytes()).Should().NotContain(token.ToString());
    }
}
