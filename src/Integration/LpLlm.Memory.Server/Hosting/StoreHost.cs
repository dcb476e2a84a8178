using System.Net;
using LpLlm.Memory.Daemon.Cli;
using LpLlm.Memory.Daemon.Models;
using LpLlm.Memory.Models;
using LpLlm.Memory.Server;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Grpc.Storage;
using LpLlm.Memory.Transport.Models;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace LpLlm.Memory.Daemon.Hosting;

/// <summary>Puts the daemon together: the server that any host can embed, the gRPC transport, and the command line's wishes.</summary>
/// <remarks>
/// There is one budget, the sum of two: <c>--pool-memory-size</c>, what the original leased to clients, and <c>--mem-pool-size</c>, its models' memory.
/// Each is the floor of its kind, so that clients of either find what they expect; a file can set lower floors, and then both compete for the rest.
/// The pools' part is kept warm, as the original meant to (its fault S1): its first segment is made before the daemon is ready, so that a limit that is
/// too low shows then, and the others behind its back, so that clients that survived a restart find it at once. Models' memory is made when one is loaded.
/// </remarks>
internal static class StoreHost
{
    private const string Section = "PoolServer";
    private const string GrpcSection = "Grpc";

    public static IHost Build(StartOptions options)
    {
        if (OperatingSystem.IsWindows())
        {
            throw new PlatformNotSupportedException("sllm-store start needs Linux, for its models and gRPC. On Windows embed the pool server in a host: AddPoolServer.");
        }

        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        if (options.ConfigFile is { } file)
        {
            builder.Configuration.AddJsonFile(Path.GetFullPath(file), optional: false, reloadOnChange: false);
        }

        AddLogging(builder.Logging);
        var section = builder.Configuration.GetSection(Section);
        builder.Services.AddPoolServer(server => Configure(server, options, section));
        builder.Services.AddCudaHostMemory();
        builder.Services.AddSingleton<IModelServiceFactory>(provider => new ModelServiceFactory(
            new ModelCatalogSettings
            {
                StoragePath = options.StoragePath,
                ThreadCount = options.ThreadCount,
                RegistrationRequired = options.RegistrationRequired,
            },
            provider.GetRequiredService<ILoggerFactory>(),
            provider.GetService<TimeProvider>(),
            provider.GetService<IDeviceSet>()));
        builder.Services.AddGrpcPoolTransport(builder.Configuration.GetSection(GrpcSection));
        builder.Services.Configure<GrpcPoolTransportOptions>(
            grpc => grpc.Storage = new StorageSettings { PoolBytes = options.MemPoolBytes, ChunkBytes = options.ChunkBytes });
        builder.Services.AddOptions<HostOptions>().Configure<Microsoft.Extensions.Options.IOptions<PoolServerOptions>>(
            (host, server) => host.ShutdownTimeout = server.Value.DrainTimeout + TimeSpan.FromSeconds(10));
        builder.Services.Configure<ConsoleLifetimeOptions>(lifetime => lifetime.SuppressStatusMessages = true);
        return builder.Build();
    }

    /// <summary>Defaults of the command, then the file, then what the command line says.</summary>
    internal static void Configure(PoolServerOptions server, StartOptions options, IConfigurationSection section)
    {
        server.Read(section);
        if (options.PoolMemoryBytes is not null || section[nameof(server.CapacityBytes)] is null)
        {
            var pools = PoolProtocol.RoundUp(options.PoolMemoryBytes ?? StartOptions.DefaultPoolMemoryBytes);
            var models = PoolProtocol.RoundUp(options.MemPoolBytes);
            server.CapacityBytes = pools + models;
            server.PoolFloorBytes = section[nameof(server.PoolFloorBytes)] is null ? pools : server.PoolFloorBytes;
            server.ModelFloorBytes = section[nameof(server.ModelFloorBytes)] is null ? models : server.ModelFloorBytes;
        }

        var most = server.CapacityBytes - server.ModelFloorBytes;
        server.SegmentBytes = Math.Min(options.ChunkBytes is { } chunk ? PoolProtocol.RoundUp(chunk) : server.SegmentBytes, most);
        server.WarmBytes = section[nameof(server.WarmBytes)] is null ? most : server.WarmBytes;
        AddEndPoints(server, options);
    }

    /// <summary>What the command line names takes the place of the file's end points of the same kind.</summary>
    private static void AddEndPoints(PoolServerOptions server, StartOptions options)
    {
        if (options.SocketPath is not null || server.EndPoints.Count == 0)
        {
            if (options.SocketPath is null)
            {
                RuntimeDirectory.EnsureDefault();
            }

            Replace(server.EndPoints, "pipe://", options.SocketPath is { } path ? PoolEndPoint.OfSocket(path) : RuntimeDirectory.DefaultEndPoint);
        }

        if (options.Host is not null || options.Port is not null || !server.EndPoints.Any(IsGrpc))
        {
            Replace(
                server.EndPoints, "grpc://", $"grpc://{AuthorityOf(options.Host ?? StartOptions.DefaultHost)}:{options.Port ?? StartOptions.DefaultPort}");
        }
    }

    private static void Replace(IList<string> endPoints, string scheme, string endPoint)
    {
        foreach (var other in endPoints.Where(other => other.StartsWith(scheme, StringComparison.OrdinalIgnoreCase)).ToList())
        {
            endPoints.Remove(other);
        }

        endPoints.Add(endPoint);
    }

    private static bool IsGrpc(string endPoint) => endPoint.StartsWith("grpc", StringComparison.OrdinalIgnoreCase);

    // An IPv6 address may come with its brackets, as in an address of the web.
    private static string AuthorityOf(string host) =>
        !host.StartsWith('[') && IPAddress.TryParse(host, out var address) && address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6
            ? $"[{host}]"
            : host;

    private static void AddLogging(ILoggingBuilder logging)
    {
        logging.AddSimpleConsole(console => console.SingleLine = true);
        logging.Services.Configure<ConsoleLoggerOptions>(console =>
        {
            console.LogToStandardErrorThreshold = LogLevel.Trace; // stdout has one line
            console.QueueFullMode = ConsoleLoggerQueueFullMode.DropWrite; // a terminal that is not read must not hold up the daemon
        });
        logging.SetMinimumLevel(LogLevel.Warning);
        logging.AddFilter("LpLlm", StoreLogLevel.Parse(Environment.GetEnvironmentVariable("LOG_LEVEL")));
        logging.AddFilter("Microsoft.Extensions.Hosting", LogLevel.None); // a failed start is told once, without a stack trace
    }
}
