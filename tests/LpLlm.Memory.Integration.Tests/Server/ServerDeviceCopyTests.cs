using LpLlm.Memory.Server;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Tests.Server;

/// <summary>Copies by a server of this host's real memory, for a client that has registered nothing.</summary>
public sealed class ServerDeviceCopyTests : IDisposable
{
    private const long MiB = 1 << 20;

    private readonly PoolHosts _hosts = new();
    private readonly FakePinner _driver = new() { Capabilities = PoolCapabilities.PageLocked | PoolCapabilities.DeviceVisible };
    private readonly SimulatedDevice _servers = new();
    private readonly SimulatedDevice _clients = new();
    private ServiceProvider? _server;

    [Fact]
    public async Task ALease_IsCopiedBothWays_FromSegmentsThatTheDriverKnowsFromTheFirstCopyOn()
    {
        var clients = Start();
        var pool = clients.GetRequiredService<IPinnedMemoryPool>();
        var copies = clients.GetRequiredService<IServerPool>();
        using var buffer = _clients.Allocate(MiB);
        var memory = ExportedMemory.Of(_clients, buffer);
        var lease = pool.Rent(MiB);
        new Random(1).NextBytes(lease.AsSpan<byte>());
        var sent = lease.AsSpan<byte>().ToArray();
        _driver.Pinned.Should().BeEmpty("no device has had to do with the memory");

        await copies.CopyToDeviceAsync(lease, 0, memory, 0, MiB).DefaultTimeout();
        lease.AsSpan<byte>().Clear();
        await copies.CopyFromDeviceAsync(lease, 4096, memory, 4096, MiB - 8192).DefaultTimeout();

        lease.AsSpan<byte>()[4096..^4096].SequenceEqual(sent.AsSpan()[4096..^4096]).Should().BeTrue();
        lease.AsSpan<byte>()[..4096].IndexOfAnyExcept((byte)0).Should().Be(-1);
        _driver.Pinned.Values.Should().Equal(4 * MiB);
        lease.Dispose();
        await clients.DisposeAsync();
        await _server!.DisposeAsync();
        _driver.Pinned.Should().BeEmpty("what is unmapped is unregistered first");
        _servers.ShouldBeClean();
    }

    [Fact]
    public async Task ASegmentThatTheDriverRefuses_FailsTheCopyOnly_AndIsTriedAgain()
    {
        _driver.FailingPins.Add(1);
        var clients = Start();
        var copies = clients.GetRequiredKeyedService<IServerPool>("default");
        using var lease = clients.GetRequiredService<IPinnedMemoryPool>().Rent(MiB);
        using var buffer = _clients.Allocate(MiB);
        var memory = ExportedMemory.Of(_clients, buffer);

        await copies.Awaiting(pool => pool.CopyToDeviceAsync(lease, 0, memory, 0, MiB).DefaultTimeout()).Should().ThrowAsync<MemorySourceException>();
        await copies.CopyToDeviceAsync(lease, 0, memory, 0, MiB).DefaultTimeout();
    }

    [Fact]
    public async Task ALeaseThatIsCopied_CannotBeReturned_AndOneThatALostDeviceMayWriteTo_IsNeverRentedAgain()
    {
        var gate = new TaskCompletionSource();
        _servers.Running = _ => gate.Task;
        var clients = Start();
        var pool = clients.GetRequiredService<IPinnedMemoryPool>();
        var lease = pool.Rent(MiB);
        using var buffer = _clients.Allocate(MiB);
        var copy = clients.GetRequiredService<IServerPool>().CopyFromDeviceAsync(lease, 0, ExportedMemory.Of(_clients, buffer), 0, MiB).AsTask();
        await TestTimeouts.UntilAsync(() => _servers.LastOrdinal > 0);
        lease.Invoking(rented => rented.Dispose()).Should().Throw<InvalidOperationException>();

        _servers.Lose();
        await copy.Invoking(task => task.DefaultTimeout()).Should().ThrowAsync<PoolRequestRejectedException>();
        lease.Dispose();

        pool.GetSnapshot().PendingBytes.Should().BeGreaterThanOrEqualTo(MiB);
        await clients.Awaiting(container => container.DisposeAsync().DefaultTimeout()).Should()
            .ThrowAsync<InvalidOperationException>().WithMessage("*1 pending behind fences*");
    }

    [Theory]
    [InlineData(-1, 0, 1)]
    [InlineData(0, -1, 1)]
    [InlineData(0, 0, 0)]
    [InlineData(0, 0, MiB + 1)]
    [InlineData(MiB, 0, 1)]
    [InlineData(1, 0, long.MaxValue)]
    public async Task ARangeOutsideTheLease_IsMisuse(long leaseOffset, long memoryOffset, long length)
    {
        var clients = Start();
        using var lease = clients.GetRequiredService<IPinnedMemoryPool>().Rent(MiB);
        var copies = clients.GetRequiredService<IServerPool>();

        var act = () => copies.CopyToDeviceAsync(lease, leaseOffset, new ExportedMemory(_servers.Uuid, new byte[64]), memoryOffset, length).AsTask();

        await act.Should().ThrowAsync<ArgumentOutOfRangeException>();
        _servers.Executed.Should().BeEmpty();
    }

    [Fact]
    public async Task ALeaseThatWasReturned_OrIsOfAnotherPool_IsMisuse()
    {
        var clients = Start();
        var copies = clients.GetRequiredService<IServerPool>();
        var memory = new ExportedMemory(_servers.Uuid, new byte[64]);
        using var other = clients.GetRequiredKeyedService<IPinnedMemoryPool>("other").Rent(4096);
        var returned = clients.GetRequiredService<IPinnedMemoryPool>().Rent(MiB);
        returned.Dispose();

        await copies.Awaiting(pool => pool.CopyToDeviceAsync(other, 0, memory, 0, 1).AsTask()).Should().ThrowAsync<ArgumentException>();
        await copies.Awaiting(pool => pool.CopyToDeviceAsync(returned, 0, memory, 0, 1).AsTask()).Should().ThrowAsync<ObjectDisposedException>();
    }

    public void Dispose() => _hosts.Dispose();

    /// <summary>A server with a device, and the container of a client that has neither device nor pinner, its pool behind a limit.</summary>
    private ServiceProvider Start()
    {
        _server = _hosts.Build(services =>
        {
            services.AddSingleton<IHostPinner>(_driver);
            services.AddSingleton<IDeviceSet>(new SimulatedDeviceSet(_servers));
            services.AddPoolServer(o =>
            {
                (o.CapacityBytes, o.SegmentBytes, o.QuarantineTime) = (64 * MiB, 4 * MiB, TimeSpan.Zero);
                o.EndPoints.Add(_hosts.PipeEndPoint);
            });
        });
        _server.GetRequiredService<PoolServer>().StartAsync(CancellationToken.None).DefaultTimeout().GetAwaiter().GetResult();
        return _hosts.Build(services =>
        {
            services.AddServerPinnedPool(o =>
                (o.EndPoint, o.CapacityBytes, o.SlabBytes, o.DisposeTimeout) = (_hosts.PipeEndPoint, 16 * MiB, 4 * MiB, TimeSpan.FromMilliseconds(100)))
                .AddLimit(o => o.LimitBytes = 16 * MiB);
            services.AddLocalPinnedPool("other", o => o.CapacityBytes = 2 * MiB);
        });
    }
}
