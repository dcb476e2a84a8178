using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Transport.Grpc;

public class GrpcPoolTransportRegistrationTests
{
    [Fact]
    public void AddGrpcPoolTransport_Twice_AddsEachSchemeOnce()
    {
        using var provider = new ServiceCollection().AddGrpcPoolTransport().AddGrpcPoolTransport(o => o.AllowRemote = false).BuildServiceProvider();

        provider.GetServices<PoolTransport>().Select(transport => transport.Scheme).Should().BeEquivalentTo("grpc", "grpc+unix");
    }

    [Theory]
    [InlineData("short", false)]
    [InlineData("sixteen characte\n", false)]
    [InlineData("sixteen charact ", false)]
    [InlineData(null, true)]
    public void Options_UnsafeToken_IsRefusedWithoutNamingIt(string? token, bool allowRemote)
    {
        using var provider = new ServiceCollection()
            .AddGrpcPoolTransport(o => (o.AccessToken, o.AllowRemote) = (token, allowRemote))
            .BuildServiceProvider();

        var error = provider.Invoking(p => p.GetServices<PoolTransport>().ToList()).Should().Throw<OptionsValidationException>().Which;
        error.Message.Should().Contain("AccessToken");
        if (token is not null)
        {
            error.Message.Should().NotContain(token);
        }
    }

    [Fact]
    public void AddGrpcPoolTransport_UnknownKey_IsAnError()
    {
        var section = new ConfigurationBuilder().AddInMemoryCollection([new("AccesToken", "0123456789abcdef")]).Build();
        using var provider = new ServiceCollection().AddGrpcPoolTransport(section).BuildServiceProvider();

        provider.Invoking(p => p.GetServices<PoolTransport>().ToList()).Should().Throw<InvalidOperationException>().WithMessage("*AccesToken*");
    }
}
