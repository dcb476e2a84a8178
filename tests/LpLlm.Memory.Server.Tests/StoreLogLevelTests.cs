using LpLlm.Memory.Daemon.Hosting;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Tests;

public class StoreLogLevelTests
{
    [Theory]
    [InlineData(null, LogLevel.Debug)]
    [InlineData("", LogLevel.Debug)]
    [InlineData("DEBUG", LogLevel.Debug)]
    [InlineData("info", LogLevel.Information)]
    [InlineData("Warning", LogLevel.Warning)]
    [InlineData("ERROR", LogLevel.Error)]
    [InlineData("CRITICAL", LogLevel.Critical)]
    public void Parse_TakesTheOriginalsNames(string? text, LogLevel expected) => StoreLogLevel.Parse(text).Should().Be(expected);

    [Fact]
    public void Parse_AnythingElse_IsRefusedByName() => FluentActions.Invoking(() => StoreLogLevel.Parse("loud"))
        .Should().Throw<InvalidOperationException>().Which.Message.Should().Contain("'loud'");
}
