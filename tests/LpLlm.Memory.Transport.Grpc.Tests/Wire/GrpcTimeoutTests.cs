namespace LpLlm.Memory.Transport.Grpc.Wire;

public class GrpcTimeoutTests
{
    [Theory]
    [InlineData("1H", 3_600_000)]
    [InlineData("2M", 120_000)]
    [InlineData("30S", 30_000)]
    [InlineData("301m", 301)]
    [InlineData("5000u", 5)]
    [InlineData("7000000n", 7)]
    [InlineData("0m", 0)]
    [InlineData("99999999m", 99_999_999)]
    public void TryParse_EveryUnit_IsThatTime(string text, long milliseconds)
    {
        GrpcTimeout.TryParse(text, out var timeout).Should().BeTrue();
        timeout.Should().Be(TimeSpan.FromMilliseconds(milliseconds));
    }

    [Fact]
    public void TryParse_LongerThanTimersTake_IsWhatTheyTake()
    {
        GrpcTimeout.TryParse("99999999H", out var timeout).Should().BeTrue();

        using var timer = new CancellationTokenSource();
        timer.Invoking(t => t.CancelAfter(timeout)).Should().NotThrow();
        timeout.Should().BeGreaterThan(TimeSpan.FromDays(30));
    }

    [Theory]
    [InlineData("")]
    [InlineData("m")]
    [InlineData("5")]
    [InlineData("5s")]
    [InlineData("-5S")]
    [InlineData("+5S")]
    [InlineData(" 5S")]
    [InlineData("1.5S")]
    [InlineData("123456789S")]
    [InlineData("٣S")]
    public void TryParse_AnythingElse_IsFalse(string text) => GrpcTimeout.TryParse(text, out _).Should().BeFalse();
}
