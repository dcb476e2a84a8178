extern alias integration;

using System.Net;
using LpLlm.Memory.Daemon.Cli;
using LpLlm.Memory.Server;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Grpc.Storage;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using SizedConfiguration = integration::LpLlm.Memory.Configuration.SizedConfiguration;

namespace LpLlm.Memory.Daemon.Hosting;

/// <summary>Puts the daemon together: the server that any host can embed, the gRPC transport, and the command line's wishes.</summary>
/// <remarks>
/// There is one budget. <c>--pool-memory-size</c> is what the original leased to clients, and is the capacity; <c>--mem-pool-size</c> was its model
/// store's own memory, which will be leased from the same engine once there is a model store, and takes nothing today. The capacity is kept
/// warm, as the original meant to (its fault S1): its first segment is made before the daemon is ready, so that a limit that is too low shows then,
/// and the others behind its back, so that clients that survived a restart find it at once.
/// </remarks>
internal static class StoreHost
{
    private const string Section = "PoolServer";
    private const string GrpcSection = "Grpc";

    public static IHost Build(StartOptions options)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        if (options.ConfigFile is { } file)
        {
            builder.Configuration.AddJsonFile(Path.GetFullPath(file), optional: false, reloadOnChange: false);
        }

        AddLogging(builder.Logging);
        var section = builder.Configuration.GetSection(Section);
        builder.Services.AddPoolServer(server => Configure(server, options, section));
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
        server.CapacityBytes = StartOptions.DefaultPoolMemoryBytes;
        SizedConfiguration.Bind(section, server);
        server.CapacityBytes = options.PoolMemoryBytes is { } capacity ? PoolProtocol.RoundUp(capacity) : server.CapacityBytes;
        server.SegmentBytes = Math.Min(options.ChunkBytes is { } chunk ? PoolProtocol.RoundUp(chunk) : server.SegmentBytes, server.CapacityBytes);
        server.WarmBytes = section[nameof(server.WarmBytes)] is null ? server.CapacityBytes : server.WarmBytes;
        AddEndPoints(server, options);
    }

    /// <summary>What the command line names takes the place of the file's end points of the same kind.</summary>
    private static void AddEndPoints(PoolServerOptions server, StartOptions options)
    {
        if (options.SocketPath is not null || server.EndPoints.Count == 0)
        {
            if (options.SocketPath is null)
            {
                RuntimeDirectory.Ensure(RuntimeDirectory.Path);
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
