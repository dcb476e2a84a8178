using Microsoft.Extensions.Hosting;

namespace LpLlm.Memory.Server;

/// <summary>Starts the server with the host, before services that use it, and stops it when the others have stopped.</summary>
internal sealed class PoolServerHost(PoolServer server) : IHostedLifecycleService
{
    public Task StartingAsync(CancellationToken cancellationToken) => server.StartAsync(cancellationToken);

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => server.StopAsync(cancellationToken);
}
