using LpLlm.Memory.Pooling;
using LpLlm.Memory.Server;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory;

/// <summary>Opens every registered pool before any other hosted service starts, in order of registration; a server of this host before them.</summary>
internal sealed class PinnedPoolStarter(
    IServiceProvider provider,
    IEnumerable<PinnedPoolRegistration> registrations,
    ILogger<PinnedPoolStarter> logger,
    TimeProvider? time = null) : IHostedLifecycleService
{
    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        if (provider.GetService<PoolServer>() is { } server)
        {
            // Its own hosted service may come after this one, and a pool would wait for its warm memory no longer than RequestTimeout.
            await server.StartAsync(cancellationToken).ConfigureAwait(false);
        }

        foreach (var registration in registrations)
        {
            if (provider.GetRequiredKeyedService<IPinnedMemoryPool>(registration.Name) is IOpenablePool pool)
            {
                var clock = time ?? TimeProvider.System;
                var started = clock.GetTimestamp();
                await pool.OpenAsync(new PinProgressLog(pool.Name, logger, clock), cancellationToken).ConfigureAwait(false);
                var reserved = ((IPinnedMemoryPool)pool).GetSnapshot().ReservedBytes;
                IntegrationLog.PoolOpened(logger, pool.Name, ByteSize.Format(reserved), clock.GetElapsedTime(started).TotalMilliseconds);
            }
        }

        // Who awaits the host's start goes on where this ends, often for the rest of the program, on top of the frames of all that was awaited here: 40 of
        // a local pool's, 100 of a server's. Each garbage collection would walk them, 0.35 us a frame, and leases bring one every 33,000 rents where the
        // young generation is 2 MiB: a tenth of the rents' time. So what comes next begins on a stack of its own.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
