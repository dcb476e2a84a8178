using LpLlm.Memory.Server;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Tests.Server;

public class PoolServerOptionsTests
{
    private const long MiB = 1 << 20;

    [Fact]
    public void AddPoolServer_Section_BindsSizesTimesAndLists()
    {
        using var provider = Build(
            ("CapacityBytes", "64GiB"), ("SegmentBytes", "64MB"), ("WarmBytes", "1GiB"), ("HugePages", "Require"), ("NumaNode", "0"),
            ("AllowPageable", "true"), ("MaxLeaseBytes", "16GiB"), ("MaxClientBytes", "20GiB"), ("MaxUserBytes", "32GiB"), ("MaxClients", "7"),
            ("QuarantineTime", "00:00:01"), ("SessionTimeout", "00:01:00"), ("TrimPatience", "00:00:02"), ("DrainTimeout", "00:00:03"),
            ("EndPoints:0", "embedded"), ("EndPoints:1", "pipe:///tmp/x.sock"), ("AllowedUsers:0", "root"), ("AllowedUsers:1", "65534"),
            ("Limits:MaxConnections", "9"), ("Limits:ReadTimeout", "00:00:01"));

        var options = provider.GetRequiredService<IOptions<PoolServerOptions>>().Value;

        options.CapacityBytes.Should().Be(64L << 30);
        options.SegmentBytes.Should().Be(64 * MiB);
        options.WarmBytes.Should().Be(1L << 30);
        (options.HugePages, options.NumaNode, options.AllowPageable).Should().Be((HugePageMode.Require, 0, true));
        (options.MaxLeaseBytes, options.MaxClientBytes, options.MaxUserBytes).Should().Be((16L << 30, 20L << 30, 32L << 30));
        options.MaxClients.Should().Be(7);
        (options.QuarantineTime, options.SessionTimeout, options.TrimPatience, options.DrainTimeout).Should().Be(
            (TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1), TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(3)));
        options.EndPoints.Should().Equal("embedded", "pipe:///tmp/x.sock");
        UserNames.ResolveAll(options.AllowedUsers).Should().BeEquivalentTo([0u, 65534u]);
        (options.Limits.MaxConnections, options.Limits.ReadTimeout).Should().Be((9, TimeSpan.FromSeconds(1)));
    }

    [Theory]
    [InlineData("CapacityBytes", "0")]
    [InlineData("CapacityBytes", "68157440")]
    [InlineData("CapacityBytes", "-2097152")]
    [InlineData("SegmentBytes", "1MiB")]
    [InlineData("SegmentBytes", "128MiB")]
    [InlineData("WarmBytes", "66MiB")]
    [InlineData("WarmBytes", "-2097152")]
    [InlineData("MaxLeaseBytes", "0")]
    [InlineData("MaxClientBytes", "1")]
    [InlineData("MaxUserBytes", "-1")]
    [InlineData("HugePages", "7")]
    [InlineData("NumaNode", "1024")]
    [InlineData("MaxClients", "0")]
    [InlineData("QuarantineTime", "-00:00:01")]
    [InlineData("SessionTimeout", "00:00:00.5")]
    [InlineData("TrimPatience", "25.00:00:00")]
    [InlineData("DrainTimeout", "25.00:00:00")]
    [InlineData("EndPoints:0", "/run/pool.sock")]
    [InlineData("EndPoints:0", "")]
    [InlineData("EndPoints:0", "grpc//127.0.0.1")]
    [InlineData("AllowedUsers:0", "nobody-of-that-name")]
    [InlineData("AllowedUsers:0", "4294967295")]
    [InlineData("Limits:MaxConnections", "0")]
    [InlineData("Limits:MaxMessageBytes", "4095")]
    [InlineData("Limits:MaxCallsPerConnection", "10001")]
    [InlineData("Limits:MaxRequestsPerSecond", "0")]
    [InlineData("Limits:MaxUnsentBytes", "0")]
    [InlineData("Limits:ReadTimeout", "00:00:00")]
    public void Validate_ValueOutOfRange_NamesTheOption(string key, string value)
    {
        using var provider = Build(("CapacityBytes", "64MiB"), (key, value));

        provider.Invoking(p => p.GetRequiredService<IOptions<PoolServerOptions>>().Value)
            .Should().Throw<OptionsValidationException>().Which.Failures.Should().ContainSingle()
            .Which.Should().Contain(key.Split(':')[0]);
    }

    [Fact]
    public void S2_Defaults_AreBytesAndNeedOnlyACapacity()
    {
        using var provider = Build(("CapacityBytes", "2GB"));

        var options = provider.GetRequiredService<IOptions<PoolServerOptions>>().Value;

        options.CapacityBytes.Should().Be(2L << 30);
        options.SegmentBytes.Should().Be(32 * MiB);
        options.MaxLeaseBytes.Should().BeNull();
    }

    [Fact]
    public void AddPoolServer_Twice_Throws() => new ServiceCollection().AddPoolServer(o => o.CapacityBytes = MiB)
        .Invoking(services => services.AddPoolServer(o => o.CapacityBytes = MiB)).Should().Throw<InvalidOperationException>();

    [Theory]
    [InlineData("EndPoint", "")]
    [InlineData("EndPoint", "Embedded")]
    [InlineData("CapacityBytes", "4097")]
    [InlineData("InitialBytes", "128MiB")]
    [InlineData("SlabBytes", "0")]
    [InlineData("ThreadCacheBytes", "-4096")]
    [InlineData("Pinning", "3")]
    [InlineData("RequestTimeout", "00:00:00")]
    [InlineData("AcquireTimeout", "-00:00:01")]
    [InlineData("ReconnectInterval", "2.00:00:00")]
    [InlineData("IdleTrimAfter", "00:00:00")]
    [InlineData("RentTimeout", "00:00:00")]
    public void ServerPool_ValueOutOfRange_NamesTheOption(string key, string value)
    {
        var services = new ServiceCollection();
        services.AddServerPinnedPool("kv", TestHost.Configuration(Last([("EndPoint", "embedded"), ("CapacityBytes", "64MiB"), (key, value)])));
        using var provider = services.BuildServiceProvider();

        provider.Invoking(p => p.GetRequiredService<IOptionsMonitor<ServerPinnedPoolOptions>>().Get("kv"))
            .Should().Throw<OptionsValidationException>().Which.Failures.Should().ContainSingle().Which.Should().Contain(key);
    }

    [Fact]
    public void ServerPool_ClientNameTooLong_IsRefused()
    {
        var errors = new List<string>();

        new ServerPinnedPoolOptions { EndPoint = "embedded", CapacityBytes = MiB, ClientName = new string('x', 129) }.Validate(errors);

        errors.Should().ContainSingle().Which.Should().Contain("129");
    }

    private static ServiceProvider Build(params (string Key, string? Value)[] entries) => new ServiceCollection()
        .AddPoolServer(TestHost.Configuration(Last(entries)))
        .BuildServiceProvider();

    private static (string Key, string? Value)[] Last((string Key, string? Value)[] entries) =>
        [.. entries.GroupBy(entry => entry.Key).Select(group => group.Last())];
}
