using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace LpLlm.Memory.Tests.Children;

/// <summary>A pool as an application has it: a host with <c>AddServerPinnedPool</c>, or a hybrid pool of it and a local one. Leases by number, shared ones
/// among them.</summary>
internal sealed class PoolPuppet
{
    private readonly IHost _host;
    private readonly IPinnedMemoryPool _pool;
    private readonly IServerPool _shared;
    private readonly List<PinnedLease> _leases = [];

    private PoolPuppet(IHost host, IPinnedMemoryPool pool)
    {
        _host = host;
        _pool = pool;
        _shared = host.Services.GetRequiredKeyedService<IServerPool>("server");
    }

    /// <param name="arguments"><c>server</c> or <c>hybrid</c>, end point, capacity, slab.</param>
    public static async Task<PoolPuppet> OpenAsync(string[] arguments)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Services.AddServerPinnedPool("server", pool =>
        {
            pool.EndPoint = arguments[1];
            pool.CapacityBytes = Number(arguments[2]);
            pool.SlabBytes = Number(arguments[3]);
            pool.InitialBytes = 0;
            pool.ThreadCacheBytes = 0;
            pool.ReconnectInterval = TimeSpan.FromMilliseconds(20);
            pool.AcquireTimeout = TimeSpan.FromMilliseconds(200);
        });
        builder.Services.AddLocalPinnedPool("local", pool =>
        {
            pool.CapacityBytes = 16 << 20;
            pool.InitialBytes = 0;
            pool.SlabBytes = 4 << 20;
            pool.AllowPageable = !Environment.IsPrivilegedProcess;
        });
        builder.Services.AddHybridPinnedPool("hybrid", pool =>
        {
            pool.Chain.Add("server");
            pool.Chain.Add("local");
            pool.RetryInterval = TimeSpan.FromMilliseconds(50);
        });
        var host = builder.Build();
        await host.StartAsync();
        return new PoolPuppet(host, host.Services.GetRequiredKeyedService<IPinnedMemoryPool>(arguments[0]));
    }

    public async Task<string> DoAsync(string[] command)
    {
        switch (command)
        {
            case ["rent", var length]:
                var lease = _pool.Rent(Number(length));
                _leases.Add(lease);
                return $"{_leases.Count - 1} {lease.Address} {lease.PoolName}";
            case ["share", var length]:
                return Add(await _shared.RentSharedAsync(Number(length)));
            case ["open", var token]:
                return Add(await _shared.OpenSharedAsync(token));
            case ["fill", var number, var seed]:
                Pattern.Fill(Lease(number).Address, Lease(number).LengthBytes, Number(seed));
                return "";
            case ["check", var number, var seed]:
                return Text(Pattern.CountWrong(Lease(number).Address, Lease(number).LengthBytes, Number(seed)));
            case ["nonzero", var number]:
                return Text(Pattern.CountNonZero(Lease(number).Address, Lease(number).LengthBytes));
            case ["address", var number]:
                return Text(Lease(number).Address);
            case ["give", var number]:
                Lease(number).Dispose();
                return "";
            case ["trim"]:
                return Text(_pool.Trim());
            case ["stop"]:
                await _host.StopAsync();
                await ((IAsyncDisposable)_host).DisposeAsync();
                return "";
            default:
                throw new ArgumentException($"No command '{string.Join(' ', command)}'.");
        }
    }

    private string Add(SharedLease shared)
    {
        _leases.Add(shared.Lease);
        return shared.Token;
    }

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private PinnedLease Lease(string number) => _leases[(int)Number(number)];
}
