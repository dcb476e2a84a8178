using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Tests.Server;

/// <summary>A hybrid pool whose first member is a server pool: the server goes and comes back.</summary>
public sealed class HybridServerTests : IDisposable
{
    private const long MiB = 1 << 20;

    private readonly PoolHosts _hosts = new();

    public void Dispose() => _hosts.Dispose();

    [Fact]
    public async Task ServerGone_RentsFallBackWithinASecond_AndReturnWhenItIsBack()
    {
        var server = _hosts.CreateServer(_hosts.PipeEndPoint);
        var provider = _hosts.Build(services =>
        {
            services.AddServerPinnedPool("server", o =>
            {
                (o.EndPoint, o.CapacityBytes, o.SlabBytes, o.InitialBytes) = (_hosts.PipeEndPoint, 32 * MiB, 4 * MiB, 0);
                (o.ThreadCacheBytes, o.ReconnectInterval) = (0, TimeSpan.FromMilliseconds(20));
            });
            services.AddLocalPinnedPool("local", o => (o.CapacityBytes, o.SlabBytes) = (32 * MiB, 4 * MiB));
            services.AddHybridPinnedPool(o =>
            {
                o.Chain.Add("server");
                o.Chain.Add("local");
                o.RetryInterval = TimeSpan.FromMilliseconds(20);
            });
        });
        var pool = provider.GetRequiredService<IPinnedMemoryPool>();
        var first = pool.Rent(4 * MiB);
        first.PoolName.Should().Be("server");
        first.AsSpan<byte>().Fill(0x5A);

        await server.DisposeAsync().DefaultTimeout();

        // The rent's own timeout is the second: it fails rather than come late.
        using (var fallback = await pool.RentAsync(new RentRequest(4 * MiB) { Timeout = TimeSpan.FromSeconds(1) }).DefaultTimeout())
        {
            fallback.PoolName.Should().Be("local");
            fallback.Placement.Should().Be(LeasePlacement.Unavailable);
        }

        first.AsSpan<byte>().IndexOfAnyExcept((byte)0x5A).Should().Be(-1, "what was leased stays usable");
        var restarted = _hosts.CreateServer(_hosts.PipeEndPoint);
        await TestTimeouts.UntilAsync(() =>
        {
            using var lease = pool.Rent(4 * MiB);
            return lease.PoolName == "server";
        });
        first.AsSpan<byte>().IndexOfAnyExcept((byte)0x5A).Should().Be(-1, "no byte was lost");
        await TestTimeouts.UntilAsync(() => restarted.Engine!.GetStatistics().LeasedBytes >= 8 * MiB); // the old slab, presented again, and a new one
        first.Dispose();
    }
}
