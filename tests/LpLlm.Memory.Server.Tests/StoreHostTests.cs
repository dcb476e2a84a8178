using LpLlm.Memory.Daemon.Cli;
using LpLlm.Memory.Daemon.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Tests;

/// <summary>What the daemon makes of its command line and its file.</summary>
public class StoreHostTests
{
    [Theory]
    [InlineData("/a b/50%#1?.sock", null, null, "pipe:///a%20b/50%25%231%3F.sock", "grpc://127.0.0.1:8073")]
    [InlineData("/x.sock", "::1", 5, "pipe:///x.sock", "grpc://[::1]:5")]
    [InlineData("/x.sock", "[::1]", 5, "pipe:///x.sock", "grpc://[::1]:5")]
    public void EndPoints_OfTheCommandLine_AreAddresses(string socket, string? host, int? port, params string[] expected) =>
        EndPoints(new StartOptions { StoragePath = "", SocketPath = socket, Host = host, Port = port }).Should().Equal(expected);

    [Fact]
    public void EndPoints_OfTheCommandLine_TakeThePlaceOfTheFilesOfTheirKind()
    {
        var options = new StartOptions { StoragePath = "", SocketPath = "/mine.sock", Port = 7 };

        EndPoints(options, "pipe:///file.sock", "grpc+unix:///g.sock", "grpc://127.0.0.1:1").Should()
            .Equal("grpc+unix:///g.sock", "pipe:///mine.sock", "grpc://127.0.0.1:7");
    }

    [Fact]
    public void Socket_WithCharactersThatMeanSomethingInAddresses_IsFoundAgain() =>
        new Uri(LpLlm.Memory.Server.PoolEndPoint.OfSocket("/a b/50%#1?.sock")).LocalPath.Should().Be("/a b/50%#1?.sock");

    [Fact]
    public void Console_ThatIsNotRead_DoesNotHoldUpTheDaemon()
    {
        using var host = StoreHost.Build(new StartOptions { StoragePath = "", SocketPath = "/x.sock" });

        host.Services.GetRequiredService<IOptions<ConsoleLoggerOptions>>().Value.QueueFullMode.Should().Be(ConsoleLoggerQueueFullMode.DropWrite);
    }

    [Fact]
    public void Sizes_StorageClientsAreTold_AreThoseThatWereGiven()
    {
        using var host = StoreHost.Build(
            new StartOptions { StoragePath = "", SocketPath = "/x.sock", MemPoolBytes = 3L << 30, ChunkBytes = 1 << 20 });

        var told = host.Services.GetRequiredService<IOptions<GrpcPoolTransportOptions>>().Value.Storage;
        (told.PoolBytes, told.ChunkBytes).Should().Be((3L << 30, 1L << 20));
    }

    [Fact]
    public void Sizes_AreTheFloorsOfOneBudget()
    {
        var server = Configured(new StartOptions { StoragePath = "", PoolMemoryBytes = 3_000_000, MemPoolBytes = 5_000_000 });

        (server.CapacityBytes, server.PoolFloorBytes, server.ModelFloorBytes, server.WarmBytes).Should().Be((10L << 20, 4L << 20, 6L << 20, 4L << 20));
    }

    [Fact]
    public void Sizes_OfTheFile_HoldWhereTheCommandLineSaysNothing()
    {
        var server = Configured(new StartOptions { StoragePath = "" }, ("CapacityBytes", "1GiB"), ("PoolFloorBytes", "256MiB"));

        (server.CapacityBytes, server.PoolFloorBytes, server.ModelFloorBytes, server.WarmBytes).Should().Be((1L << 30, 256L << 20, 0, 1L << 30));
    }

    [Fact]
    public void Floors_OfTheFile_MayBeLower_ThenTheRestIsForBoth()
    {
        var server = Configured(new StartOptions { StoragePath = "", PoolMemoryBytes = 16L << 20, MemPoolBytes = 16L << 20 }, ("ModelFloorBytes", "4MiB"));

        (server.CapacityBytes, server.PoolFloorBytes, server.ModelFloorBytes).Should().Be((32L << 20, 16L << 20, 4L << 20));
    }

    private static PoolServerOptions Configured(StartOptions options, params (string Key, string Value)[] file)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(file.Select(entry => KeyValuePair.Create($"PoolServer:{entry.Key}", (string?)entry.Value)))
            .Build();
        var server = new PoolServerOptions();
        StoreHost.Configure(server, options with { SocketPath = "/x.sock" }, configuration.GetSection("PoolServer"));
        return server;
    }

    private static IList<string> EndPoints(StartOptions options, params string[] ofTheFile)
    {
        var file = new ConfigurationBuilder()
            .AddInMemoryCollection(ofTheFile.Select((endPoint, i) => KeyValuePair.Create($"PoolServer:EndPoints:{i}", (string?)endPoint)))
            .Build();
        var server = new PoolServerOptions();
        StoreHost.Configure(server, options, file.GetSection("PoolServer"));
        return server.EndPoints;
    }
}
