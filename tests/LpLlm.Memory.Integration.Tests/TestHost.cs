using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Tests;

/// <summary>A host with nothing in it but what a test adds, and a fake pinner so that no limit of the machine matters.</summary>
internal static class TestHost
{
    public static IHost Build(Action<IServiceCollection> register, CollectingLogger? logger = null, IHostPinner? pinner = null)
    {
        var builder = Host.CreateEmptyApplicationBuilder(settings: null);
        builder.Services.AddSingleton(pinner ?? new FakePinner());
        if (logger is not null)
        {
            builder.Logging.AddProvider(new CollectingLoggerProvider(logger));
        }

        register(builder.Services);
        return builder.Build();
    }

    public static IConfiguration Configuration(params (string Key, string? Value)[] entries) => new ConfigurationBuilder()
        .AddInMemoryCollection(entries.Select(entry => KeyValuePair.Create(entry.Key, entry.Value)))
        .Build();
}
