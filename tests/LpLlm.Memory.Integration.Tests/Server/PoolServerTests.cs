using LpLlm.Memory.Server;
using LpLlm.Memory.Sources;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Engine;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Tests.Server;

/// <summary>The server in a host: order of start, order of stop, and what a start that fails leaves behind.</summary>
public sealed class PoolServerTests : IDisposable
{
    private const long MiB = 1 << 20;

    private readonly PoolHosts _hosts = new();

    public void Dispose() => _hosts.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task S1_HostStart_InEitherOrder_TheLeaseIsThere(bool serverFirst)
    {
        var logger = new CollectingLogger();
        using var host = TestHost.Build(
            services =>
            {
                Action<IServiceCollection>[] order = [AddEmbeddedServer, services => AddPool(services, "kv")];
                foreach (var add in serverFirst ? order : order.Reverse())
                {
                    add(services);
                }
            },
            logger);

        await host.StartAsync().DefaultTimeout();

        var pool = host.Services.GetRequiredKeyedService<IPinnedMemoryPool>("kv");
        pool.GetSnapshot().ReservedBytes.Should().Be(8 * MiB);
        pool.Capabilities.Should().HaveFlag(PoolCapabilities.Shared | PoolCapabilities.PageLocked);
        var engine = host.Services.GetRequiredService<PoolServer>().Engine!;
        engine.GetStatistics().LeasedBytes.Should().Be(8 * MiB);
        engine.List().Should().ContainSingle().Which.Owner.ClientName.Should().EndWith("/kv");
        logger.Entries.Count(entry => entry.Id == 1110).Should().Be(1, "the server starts once");
        logger.Entries.Should().Contain(entry => entry.Id == 1101);
    }

    [Fact]
    public void Pool_WithoutAHost_StartsTheServerAtTheFirstRent()
    {
        var provider = _hosts.Build(services =>
        {
            AddEmbeddedServer(services);
            AddPool(services, "kv");
        });
        var pool = provider.GetRequiredKeyedService<IPinnedMemoryPool>("kv");
        provider.GetRequiredService<PoolServer>().Engine.Should().BeNull("nobody has needed it yet");

        using var lease = pool.Rent(1000);

        lease.AsSpan<byte>().Fill(1);
        provider.GetRequiredService<PoolServer>().Engine!.GetStatistics().Leases.Should().Be(1);
    }

    [Fact]
    public async Task Start_CallerGivesUp_GoesOnAndServesTheNext()
    {
        var segments = new SlowSegmentSource();
        var provider = _hosts.Build(services =>
        {
            services.AddSingleton<ISegmentSource>(segments);
            services.AddPoolServer(o =>
            {
                (o.CapacityBytes, o.SegmentBytes, o.WarmBytes) = (8 * MiB, 4 * MiB, 8 * MiB);
                o.EndPoints.Add("embedded");
            });
        });
        var server = provider.GetRequiredService<PoolServer>();
        using var patience = new CancellationTokenSource();
        var impatient = server.StartAsync(patience.Token);
        await segments.Asked.Task.DefaultTimeout();

        await patience.CancelAsync();

        await impatient.Awaiting(start => start.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        var next = server.StartAsync(CancellationToken.None);
        segments.MayGoOn.SetResult();
        await next.DefaultTimeout();
        await TestTimeouts.UntilAsync(() => server.Engine!.GetStatistics().IdleBytes == 8 * MiB);
        segments.Count.Should().Be(2, "what was begun was not begun again");
    }

    [Fact]
    public async Task Start_WarmMemoryTakesLong_ServesAlready()
    {
        var segments = new SlowSegmentSource { FastOnes = 1 };
        var provider = _hosts.Build(services =>
        {
            services.AddSingleton<ISegmentSource>(segments);
            services.AddPoolServer(o =>
            {
                (o.CapacityBytes, o.SegmentBytes, o.WarmBytes) = (8 * MiB, 4 * MiB, 8 * MiB);
                o.EndPoints.Add("embedded");
            });
            services.AddServerPinnedPool("kv", o => (o.EndPoint, o.CapacityBytes) = ("embedded", 4 * MiB));
        });

        await provider.GetRequiredService<PoolServer>().StartAsync(CancellationToken.None).DefaultTimeout();

        using (await Task.Run(() => provider.GetRequiredKeyedService<IPinnedMemoryPool>("kv").Rent(MiB)).DefaultTimeout())
        {
            segments.MayGoOn.SetResult();
        }
    }

    [Theory]
    [InlineData("preflight", true)]
    [InlineData("mlock", false)]
    public async Task Start_MemoryIsOthersNow_GoesOnWithAWarning_WhatCannotChangeFails(string operation, bool goesOn)
    {
        var logger = new CollectingLogger();
        using var host = TestHost.Build(
            services =>
            {
                var failure = new MemorySourceException(operation, 12, "ENOMEM", 4 * MiB, 0, "Free memory.");
                services.AddSingleton<ISegmentSource>(new SlowSegmentSource { Failure = failure });
                services.AddPoolServer(o =>
                {
                    (o.CapacityBytes, o.SegmentBytes, o.WarmBytes) = (8 * MiB, 4 * MiB, 8 * MiB);
                    o.EndPoints.Add("embedded");
                });
            },
            logger);

        if (goesOn)
        {
            await host.StartAsync().DefaultTimeout();
            logger.Entries.Should().ContainSingle(entry => entry.Id == 1115);
        }
        else
        {
            await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<MemorySourceException>();
        }
    }

    [Fact]
    public async Task Row26_HostStart_MoreWarmMemoryThanTheMachineHas_IsRefusedThoughTheFirstSegmentFits()
    {
        using var host = TestHost.Build(services => services.AddPoolServer(o =>
        {
            (o.CapacityBytes, o.SegmentBytes, o.WarmBytes) = (1L << 50, 4 * MiB, 1L << 50);
            o.EndPoints.Add("embedded");
        }));

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<MemorySourceException>())
            .Which.Message.Should().Contain("WarmBytes");
    }

    [Theory]
    [InlineData(1024, 256)]
    [InlineData(8, 16)]
    [InlineData(ulong.MaxValue, int.MaxValue)]
    public void Segments_LeaveDescriptorsForConnections(ulong files, int segments) => SegmentLimit.Of(files).Should().Be(segments);

    [Fact]
    public async Task Segments_OfAStartedServer_AreBounded()
    {
        using var host = TestHost.Build(AddEmbeddedServer);
        await host.StartAsync().DefaultTimeout();

        host.Services.GetRequiredService<PoolServer>().Engine!.Settings.MaxSegments.Should().Be(SegmentLimit.Find()).And.BeLessThan(int.MaxValue);
    }

    [Theory]
    [InlineData("4711", true)]
    [InlineData(null, false)]
    public async Task AllowedUsers_OpenTheSocketToOthers(string? user, bool isOpen)
    {
        if (OperatingSystem.IsWindows())
        {
            return; // CA1416: there are no modes
        }

        var folder = Directory.CreateTempSubdirectory("lpllm-others-").FullName;
        try
        {
            File.SetUnixFileMode(folder, (UnixFileMode)Convert.ToInt32("755", 8));
            using var host = TestHost.Build(services => services.AddPoolServer(o =>
            {
                (o.CapacityBytes, o.SegmentBytes) = (32 * MiB, 4 * MiB);
                o.EndPoints.Add($"pipe://{folder}/pool.sock");
                ((List<string>)o.AllowedUsers).AddRange(user is null ? [] : [user]);
            }));
            await host.StartAsync().DefaultTimeout();

            File.GetUnixFileMode($"{folder}/pool.sock").HasFlag(UnixFileMode.OtherWrite).Should().Be(isOpen);
            await host.StopAsync().DefaultTimeout();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task WarmUp_ServerRefusesItsOwnCall_IsATypedError()
    {
        var loopback = new Transport.Loopback.LoopbackTransport();
        var endPoint = new Uri("loopback://refusing");
        await using var listener = await loopback.BindAsync(endPoint, new RefusingHandler(), CancellationToken.None);

        (await FluentActions.Awaiting(() => ServerWarmUp.RunAsync(loopback, endPoint, TimeProvider.System, CancellationToken.None).DefaultTimeout())
            .Should().ThrowAsync<PoolServerUnavailableException>()).Which.Message.Should().Contain("not today");
    }

    [Fact]
    public async Task Dispose_WhileItStarts_EndsTheStart()
    {
        var segments = new SlowSegmentSource();
        var server = _hosts.Build(services =>
        {
            services.AddSingleton<ISegmentSource>(segments);
            services.AddPoolServer(o =>
            {
                (o.CapacityBytes, o.SegmentBytes, o.WarmBytes) = (8 * MiB, 4 * MiB, 8 * MiB);
                o.EndPoints.Add("embedded");
            });
        }).GetRequiredService<PoolServer>();
        var start = server.StartAsync(CancellationToken.None);
        await segments.Asked.Task.DefaultTimeout();

        await server.DisposeAsync().DefaultTimeout();

        await start.Awaiting(s => s.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        await server.Awaiting(s => s.StartAsync(CancellationToken.None)).Should().ThrowAsync<ObjectDisposedException>();
    }

    [Fact]
    public async Task Stop_LeasesOfThisProcess_AreUsableUntilTheContainerIsDisposed()
    {
        var host = TestHost.Build(services =>
        {
            AddEmbeddedServer(services);
            AddPool(services, "kv");
        });
        await host.StartAsync().DefaultTimeout();
        var pool = host.Services.GetRequiredKeyedService<IPinnedMemoryPool>("kv");
        var lease = pool.Rent(MiB);

        await host.StopAsync().DefaultTimeout();
        lease.AsSpan<byte>().Fill(7);
        using (var other = pool.Rent(MiB))
        {
            other.AsSpan<byte>().Fill(8);
        }

        lease.AsSpan<byte>().IndexOfAnyExcept((byte)7).Should().Be(-1);
        lease.Dispose();
        var engine = host.Services.GetRequiredService<PoolServer>().Engine!;
        host.Dispose();
        engine.GetStatistics().Leases.Should().Be(0, "the pool let go before the engine did");
    }

    [Fact]
    public async Task HostStart_EmbeddedWithoutAServer_FailsNamingBothWaysOut()
    {
        using var host = TestHost.Build(services => AddPool(services, "kv"));

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>())
            .Which.Message.Should().Contain("'kv'").And.Contain("AddPoolServer");
    }

    [Theory]
    [InlineData("http://127.0.0.1:80")]
    [InlineData("grpc://127.0.0.1:8073")]
    public async Task HostStart_UnknownScheme_FailsNamingTheSchemesAndThePackage(string endPoint)
    {
        using var host = TestHost.Build(services => services.AddServerPinnedPool(
            "kv", o => (o.EndPoint, o.CapacityBytes) = (endPoint, 8 * MiB)));

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>())
            .Which.Message.Should().Contain(endPoint).And.Contain("'pipe'").And.Contain("AddGrpcPoolTransport");
    }

    [Fact]
    public async Task HostStart_AnEndPointThatCannotBeBound_KeepsNothing()
    {
        using var host = TestHost.Build(services => services.AddPoolServer(o =>
        {
            (o.CapacityBytes, o.SegmentBytes, o.WarmBytes) = (16 * MiB, 4 * MiB, 16 * MiB);
            o.EndPoints.Add("http://127.0.0.1:80");
        }));

        await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>();

        var server = host.Services.GetRequiredService<PoolServer>();
        (server.Engine, server.EndPoints.Count).Should().Be((null, 0));
        await FluentActions.Awaiting(() => host.Services.GetServices<PoolTransport>().Single(transport => transport.Scheme == "loopback")
            .ConnectAsync(PoolEndPoint.EmbeddedUri, default).AsTask().DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();
    }

    [Fact]
    public async Task Row26_HostStart_MoreWarmMemoryThanThereIs_IsRefused()
    {
        using var host = TestHost.Build(services => services.AddPoolServer(o =>
        {
            (o.CapacityBytes, o.SegmentBytes, o.WarmBytes) = (1L << 50, 1L << 40, 1L << 40);
            o.EndPoints.Add("embedded");
        }));

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<MemorySourceException>())
            .Which.Operation.Should().Be("preflight");
    }

    [Fact]
    public async Task AddPinnedMemoryPool_KindServer_IsTheServerPool()
    {
        using var host = TestHost.Build(services =>
        {
            AddEmbeddedServer(services);
            services.AddPinnedMemoryPool(TestHost.Configuration(
                ("Kind", "Server"), ("Server:EndPoint", "embedded"), ("Server:CapacityBytes", "8MiB"), ("Statistics", "true")));
        });
        await host.StartAsync().DefaultTimeout();

        using var lease = host.Services.GetRequiredService<IPinnedMemoryPool>().Rent(1000);

        lease.Capabilities.Should().HaveFlag(PoolCapabilities.Shared);
        host.Services.GetRequiredService<IPoolStatistics>().GetStatistics().Should().NotBeNull();
    }

    private static void AddEmbeddedServer(IServiceCollection services) => services.AddPoolServer(o =>
    {
        (o.CapacityBytes, o.SegmentBytes) = (32 * MiB, 4 * MiB);
        o.EndPoints.Add("embedded");
    });

    private static void AddPool(IServiceCollection services, string name) => services.AddServerPinnedPool(
        name, o => (o.EndPoint, o.CapacityBytes) = ("embedded", 8 * MiB));

    /// <summary>Real segments that wait until they may be made.</summary>
    private sealed class SlowSegmentSource : ISegmentSource
    {
        private readonly HostSegmentSource _source = new(new HostMemorySettings(), NullLogger.Instance, new FakePinner());
        private int _count;

        /// <summary>How many are made at once.</summary>
        public int FastOnes { get; init; }

        public MemorySourceException? Failure { get; init; }

        public TaskCompletionSource Asked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource MayGoOn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public int Count => Volatile.Read(ref _count);

        public async ValueTask<Segment> CreateAsync(long lengthBytes, CancellationToken cancellationToken)
        {
            if (Failure is not null)
            {
                throw Failure;
            }

            var isFast = Interlocked.Increment(ref _count) <= FastOnes;
            Asked.TrySetResult();
            if (!isFast)
            {
                await MayGoOn.Task.WaitAsync(cancellationToken);
            }

            return await _source.CreateAsync(lengthBytes, cancellationToken);
        }

        public ulong Identify(SafeFileHandle file) => throw new NotSupportedException();

        public ValueTask<Segment> AdoptAsync(SafeFileHandle file, long lengthBytes, CancellationToken cancellationToken) =>
            throw new NotSupportedException();
    }

    private sealed class RefusingHandler : IPoolConnectionHandler
    {
        public IPoolConnection Accept(PoolPeer peer) => throw new PoolFaultException(PoolFaultCode.Unavailable, "not today");
    }
}
