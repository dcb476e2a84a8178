using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace LpLlm.Memory.Tests.Server;

/// <summary>Each garbage collection walks the stacks of all threads, and rents bring garbage collections: what a pool leaves on a stack costs every rent.</summary>
public sealed class StartStackTests : IDisposable
{
    private readonly PoolHosts _hosts = new();

    public void Dispose() => _hosts.Dispose();

    [Fact]
    public async Task WhatFollowsTheHostsStart_DoesNotStandOnTheFramesOfThePoolsOpening()
    {
        _hosts.CreateServer(_hosts.PipeEndPoint);

        var stack = await Task.Run(OpenAndLookAsync).DefaultTimeout();

        stack.Should().Contain(nameof(PinnedPoolStarter), "the opening waited for a server, and the program goes on where it ended")
            .And.NotContain("OpenAsync").And.NotContain("ServerMemorySource");
    }

    private async Task<string> OpenAndLookAsync()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Services.AddServerPinnedPool(o => (o.EndPoint, o.CapacityBytes) = (_hosts.PipeEndPoint, 4 << 20));
        using var host = builder.Build();
        await host.StartAsync().ConfigureAwait(false);
        var stack = new StackTrace().ToString();
        await host.StopAsync().ConfigureAwait(false);
        return stack;
    }
}
