using LpLlm.Memory.Samples.Generate.Cli;
using LpLlm.Memory.Samples.Generate.Hosting;
using Microsoft.Extensions.Hosting;

namespace LpLlm.Memory.Samples.Generate.Tests.Support;

/// <summary>The application's own host, with the pool of its appsettings.json.</summary>
public class HostFixture : IAsyncLifetime
{
    internal IHost Host { get; private set; } = null!;

    public virtual async Task InitializeAsync() => Host = await GenerateHost.StartAsync(new GenerateOptions(), Bounded.Token());

    public virtual async Task DisposeAsync()
    {
        await Host.StopAsync(Bounded.Token());
        Host.Dispose();
    }
}
