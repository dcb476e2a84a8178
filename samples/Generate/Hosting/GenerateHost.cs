using LpLlm.Memory.Attention;
using LpLlm.Memory.Samples.Generate.Cli;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Samples.Generate.Hosting;

/// <summary>Puts the application together: configuration chooses the pool, and the rest asks for <see cref="IPinnedMemoryPool"/>.</summary>
/// <remarks>
/// Why appsettings.json says what it says: AllowPageable, because an ordinary user may page-lock 8 MiB and the model alone has
/// 8.3 MiB (the server or pool then warns once); EndPoints with embedded alone, because two runs at a time would want the same socket;
/// InitialBytes 0 of the server pool, because a hybrid one starts without its server; UseServerPool false, because true insists on one;
/// no log of Microsoft.Extensions.Hosting, because the program reports a failed start itself, once and without a stack trace.
/// </remarks>
internal static class GenerateHost
{
    /// <summary>Builds and starts the host; the pool is open afterwards. The caller disposes it.</summary>
    /// <exception cref="RefusedConfigurationException">The configuration names something that does not exist.</exception>
    public static async Task<IHost> StartAsync(GenerateOptions options, CancellationToken cancellationToken = default)
    {
        IHost? host = null;
        try
        {
            host = Build(options);
            await host.StartAsync(cancellationToken);
            host.Services.GetRequiredService<IAttnManager>(); // chooses its pool now, not in the middle of the run
            return host;
        }
        catch (Exception e)
        {
            host?.Dispose();
            if (RefusalOf(e) is { } message)
            {
                throw new RefusedConfigurationException(message, e);
            }

            throw;
        }
    }

    private static string? RefusalOf(Exception e) => e switch
    {
        InvalidOperationException or OptionsValidationException => e.Message,
        AggregateException { InnerExceptions: var all } when all.All(inner => inner is OptionsValidationException) => // one a section
            string.Join(Environment.NewLine, all.Select(inner => inner.Message)),
        _ => null,
    };

    private static IHost Build(GenerateOptions options)
    {
        var settings = new HostApplicationBuilderSettings
        {
            ContentRootPath = AppContext.BaseDirectory, // appsettings.json lies beside the program, not in the working directory
            Configuration = new ConfigurationManager(),
        };
        settings.Configuration["hostBuilder:reloadConfigOnChange"] = "false"; // read once: no file watcher, of which users have few
        var builder = Host.CreateApplicationBuilder(settings);
        if (options.PoolKind is { } kind)
        {
            builder.Configuration["LpLlm:Memory:Kind"] = kind;
        }

        if (options.EndPoint is { } endPoint)
        {
            builder.Configuration["LpLlm:Memory:Server:EndPoint"] = endPoint;
        }

        builder.Logging.ClearProviders();
        builder.Logging.AddSimpleConsole(console => console.SingleLine = true);
        builder.Services.Configure<ConsoleLoggerOptions>(
            console => console.LogToStandardErrorThreshold = LogLevel.Trace); // standard output is for the text
        builder.Services.Configure<ConsoleLifetimeOptions>(lifetime => lifetime.SuppressStatusMessages = true);

        builder.Services.AddPinnedMemoryPool(builder.Configuration.GetSection("LpLlm:Memory"));
        AddMembersAndServer(builder);
        AddModelStore(builder.Services, options);
        builder.Services.AddAttnManager(builder.Configuration.GetSection("LpLlm:Attention"));
        builder.Services.AddSingleton(options);
        builder.Services.AddSingleton<GenerateJob>();
        return builder.Build();
    }

    /// <summary>The server's models where <c>--endpoint</c> names one; else those of <c>--model</c>'s parent folder, loaded into the pool by this process.</summary>
    private static void AddModelStore(IServiceCollection services, GenerateOptions options)
    {
        if (options.EndPoint is { } endPoint && endPoint != "embedded")
        {
            services.AddServerModelStore(store => store.EndPoint = endPoint);
        }
        else
        {
            services.AddModelStore(store => store.StoragePath = Path.GetDirectoryName(options.ModelFolder) ?? "");
        }
    }

    /// <summary>What the chosen pool needs beside itself: a hybrid pool its members, a server pool the server unless it is another process.</summary>
    private static void AddMembersAndServer(HostApplicationBuilder builder)
    {
        var memory = builder.Configuration.GetSection("LpLlm:Memory");
        var isHybrid = "Hybrid".Equals(memory["Kind"], StringComparison.OrdinalIgnoreCase);
        if (isHybrid)
        {
            builder.Services.AddServerPinnedPool("server", memory.GetSection("Server"));
            builder.Services.AddLocalPinnedPool("local", memory.GetSection("Local"));
        }

        if ((isHybrid || "Server".Equals(memory["Kind"], StringComparison.OrdinalIgnoreCase)) && memory["Server:EndPoint"] == "embedded")
        {
            builder.Services.AddPoolServer(builder.Configuration.GetSection("LpLlm:PoolServer"));
        }
    }
}
