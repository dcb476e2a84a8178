using LpLlm.Memory.Server;
using LpLlm.Memory.Transport.Engine;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Tests.Server;

/// <summary>Leases that several pools have, over the server of this process: what they are, what they count, and misuse.</summary>
public sealed class SharedLeaseTests : IDisposable
{
    private const long MiB = 1 << 20;

    private static readonly string[] Names = ["writer", "reader"];

    private readonly PoolHosts _hosts = new();
    private readonly FakePinner _pinner = new() { Capabilities = PoolCapabilities.PageLocked | PoolCapabilities.DeviceVisible };
    private readonly ServiceProvider _provider;

    public SharedLeaseTests() => _provider = _hosts.Build(services =>
    {
        services.AddSingleton<IHostPinner>(_pinner);
        services.AddPoolServer(o =>
        {
            (o.CapacityBytes, o.SegmentBytes, o.QuarantineTime) = (24 * MiB, 4 * MiB, TimeSpan.Zero);
            o.EndPoints.Add("embedded");
        });
        foreach (var name in Names)
        {
            services.AddServerPinnedPool(name, o =>
            {
                (o.EndPoint, o.CapacityBytes, o.SlabBytes, o.InitialBytes) = ("embedded", 16 * MiB, 4 * MiB, 0);
                (o.IdleTrimAfter, o.AcquireTimeout, o.DisposeTimeout) = (Timeout.InfiniteTimeSpan, TimeSpan.FromMilliseconds(500), TimeSpan.FromMilliseconds(50));
            });
        }
    });

    private IServerPool Writer => _provider.GetRequiredKeyedService<IServerPool>("writer");

    private IServerPool Reader => _provider.GetRequiredKeyedService<IServerPool>("reader");

    private IPinnedMemoryPool WritersPool => _provider.GetRequiredKeyedService<IPinnedMemoryPool>("writer");

    private PoolEngine Engine => _provider.GetRequiredService<PoolServer>().Engine!;

    public void Dispose() => _hosts.Dispose();

    [Fact]
    public async Task Open_IsTheSameMemory_OfTheSameLength_PinnedAsThePoolSays()
    {
        using var written = await Writer.RentSharedAsync((3 * MiB) + 4).DefaultTimeout();
        written.Lease.GetSpan(0, (int)written.Lease.LengthBytes).IndexOfAnyExcept((byte)0).Should().Be(-1, "fresh memory is zeroed");
        written.Lease.AsSpan<int>()[^1] = 5;

        using var read = await Reader.OpenSharedAsync(written.Token).DefaultTimeout();

        read.Token.Should().Be(written.Token);
        read.Lease.LengthBytes.Should().Be((3 * MiB) + 4);
        read.Lease.PoolName.Should().Be("reader");
        read.Lease.Capabilities.Should().HaveFlag(PoolCapabilities.Shared | PoolCapabilities.PageLocked | PoolCapabilities.DeviceVisible);
        _pinner.Pinned.Keys.Should().BeEquivalentTo([read.Lease.Address, written.Lease.Address]);
        read.Lease.AsSpan<int>()[^1].Should().Be(5);
        read.Lease.Memory.Span[0] = 6;
        written.Lease.Memory.Span[0].Should().Be(6);
        Engine.GetStatistics().LeasedBytes.Should().Be(4 * MiB, "there is no copy");
    }

    [Fact]
    public async Task WhatIsRentedBefore_AndAfter_LiesNowhereInASharedLease()
    {
        using var before = WritersPool.Rent(MiB);
        var shared = await Writer.RentSharedAsync(1000).DefaultTimeout();
        var address = shared.Lease.Address;
        using var read = await Reader.OpenSharedAsync(shared.Token).DefaultTimeout();

        var during = Enumerable.Range(0, 8).Select(_ => WritersPool.Rent(1000)).ToList();
        shared.Dispose();
        var after = Enumerable.Range(0, 8).Select(_ => WritersPool.Rent(1000)).ToList();

        foreach (var lease in during.Concat(after).Append(before))
        {
            (lease.Address - address).Should().NotBeInRange(0, (nint)(2 * MiB) - 1, "another process writes there");
            lease.Dispose();
        }
    }

    [Fact]
    public async Task Accounts_CountItWholly_AndGiveItBack()
    {
        var shared = await Writer.RentSharedAsync(2 * MiB + 1).DefaultTimeout();
        WritersPool.GetSnapshot().Should().Match<PoolSnapshot>(s =>
            s.UsedBytes == 4 * MiB && s.ReservedBytes == 4 * MiB && s.LiveLeases == 1 && s.TotalRents == 1 && s.PeakUsedBytes == 4 * MiB);

        shared.Dispose();
        shared.Dispose();

        WritersPool.GetSnapshot().Should().Match<PoolSnapshot>(s => s.UsedBytes == 0 && s.ReservedBytes == 0 && s.LiveLeases == 0);
        shared.Lease.Invoking(lease => lease.Address).Should().Throw<ObjectDisposedException>();
        await TestTimeouts.UntilAsync(() => Engine.GetStatistics() is { LeasedBytes: 0, Leases: 0 });
    }

    [Fact]
    public async Task LastHolder_MayBeWhoOpenedIt()
    {
        var written = await Writer.RentSharedAsync(2 * MiB).DefaultTimeout();
        using var read = await Reader.OpenSharedAsync(written.Token).DefaultTimeout();
        written.Lease.AsSpan<byte>().Fill(7);

        written.Dispose();
        await TestTimeouts.UntilAsync(() => Engine.List().Single().HolderCount == 1);

        read.Lease.AsSpan<byte>().IndexOfAnyExcept((byte)7).Should().Be(-1);
        (await Writer.OpenSharedAsync(read.Token).DefaultTimeout()).Dispose();
    }

    [Fact]
    public async Task Capacity_IsThePools_IdleSlabsMakeWayAndLeasesDoNot()
    {
        using var rented = WritersPool.Rent(4 * MiB);
        Enumerable.Range(0, 3).Select(_ => WritersPool.Rent(4 * MiB)).ToList().ForEach(lease => lease.Dispose());

        using var shared = await Writer.RentSharedAsync(10 * MiB).DefaultTimeout();

        WritersPool.GetSnapshot().ReservedBytes.Should().Be(14 * MiB, "12 MiB were idle, in slabs of 4");
        var full = (await FluentActions.Awaiting(() => Writer.RentSharedAsync(3 * MiB).DefaultTimeout()).Should()
            .ThrowAsync<PinnedMemoryExhaustedException>()).Which;
        (full.Cause, full.IsTransient).Should().Be((ExhaustionCause.Limit, true));
        var never = (await FluentActions.Awaiting(() => Writer.RentSharedAsync(long.MaxValue).DefaultTimeout()).Should()
            .ThrowAsync<PinnedMemoryExhaustedException>()).Which;
        (never.LargestBlockBytes, never.IsTransient).Should().Be((16 * MiB, false));
        WritersPool.GetSnapshot().FailedRents.Should().Be(2);
    }

    [Fact]
    public async Task ServerWithoutRoom_GetsThisPoolsIdleSlabsBackFirst()
    {
        using var others = await Reader.RentSharedAsync(10 * MiB).DefaultTimeout();
        Enumerable.Range(0, 3).Select(_ => WritersPool.Rent(4 * MiB)).ToList().ForEach(lease => lease.Dispose());
        using var more = WritersPool.Rent(4 * MiB);
        Engine.GetStatistics().LeasedBytes.Should().Be(22 * MiB, "of 24");

        using (await Writer.RentSharedAsync(6 * MiB).DefaultTimeout())
        {
            var refused = (await FluentActions.Awaiting(() => Writer.RentSharedAsync(6 * MiB).DefaultTimeout()).Should()
                .ThrowAsync<PinnedMemoryExhaustedException>()).Which;
            refused.Cause.Should().Be(ExhaustionCause.NoMemory);
            refused.InnerException.Should().BeOfType<MemorySourceException>();
        }
    }

    [Fact]
    public async Task WaitingRent_IsServedWithTheRoomOfASharedLease()
    {
        var shared = await Writer.RentSharedAsync(14 * MiB).DefaultTimeout();
        var waiting = WritersPool.RentAsync(new RentRequest(4 * MiB)).AsTask();
        await TestTimeouts.UntilAsync(() => WritersPool.GetSnapshot().WaitingRents == 1);

        shared.Dispose();

        (await waiting.DefaultTimeout()).Dispose();
    }

    [Fact]
    public async Task ReturnAfter_KeepsItUntilTheFenceCompletes()
    {
        var shared = await Writer.RentSharedAsync(2 * MiB).DefaultTimeout();
        var fence = new VirtualFence();

        shared.Lease.ReturnAfter(fence);
        WritersPool.Trim();
        WritersPool.GetSnapshot().Should().Match<PoolSnapshot>(s => s.PendingBytes == 2 * MiB && s.ReservedBytes == 2 * MiB);
        _pinner.Pinned.Should().ContainSingle("a device may write to it");
        fence.Complete();

        await TestTimeouts.UntilAsync(() => WritersPool.GetSnapshot() is { PendingBytes: 0, ReservedBytes: 0 });
        _pinner.Pinned.Should().BeEmpty();
    }

    [Theory]
    [InlineData("")]
    [InlineData("secret")]
    [InlineData("00000000000000000000000000000000" + "0000000000000001")]
    [InlineData("0123456789abcdef0123456789abcdef" + "0000000000000000")]
    [InlineData("0123456789abcdef0123456789abcdef" + "8000000000000000")]
    [InlineData("0123456789abcdef0123456789abcdef" + "000000000000000g")]
    [InlineData("0123456789abcdef0123456789abcdef" + "000000000000000")]
    [InlineData("0123456789abcdef0123456789abcdef" + "00000000000000001")]
    public async Task Open_WhatIsNoToken_IsMisuse_AndNotTold(string token)
    {
        var misuse = await FluentActions.Awaiting(() => Reader.OpenSharedAsync(token).DefaultTimeout()).Should().ThrowAsync<ArgumentException>();

        misuse.Which.ParamName.Should().Be("token");
        (token.Length > 0 && misuse.Which.Message.Contains(token, StringComparison.Ordinal)).Should().BeFalse("a token that is nearly right is a secret");
    }

    [Fact]
    public async Task Open_AChangedLength_IsMisuse_AndLetsGoOfTheLease()
    {
        using var written = await Writer.RentSharedAsync(2 * MiB).DefaultTimeout();
        var changed = written.Token[..32] + "0000000000200001";

        await FluentActions.Awaiting(() => Reader.OpenSharedAsync(changed).DefaultTimeout()).Should().ThrowAsync<ArgumentException>();

        await TestTimeouts.UntilAsync(() => Engine.List().Single().HolderCount == 1);
        (await Reader.OpenSharedAsync(written.Token).DefaultTimeout()).Dispose();
    }

    [Fact]
    public async Task Open_TwiceInOnePool_IsMisuse()
    {
        using var written = await Writer.RentSharedAsync(1).DefaultTimeout();
        using var read = await Reader.OpenSharedAsync(written.Token).DefaultTimeout();

        await FluentActions.Awaiting(() => Writer.OpenSharedAsync(written.Token).DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>();
        await FluentActions.Awaiting(() => Reader.OpenSharedAsync(written.Token).DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>();
        await FluentActions.Awaiting(() => Writer.RentSharedAsync(0).DefaultTimeout()).Should().ThrowAsync<ArgumentOutOfRangeException>();
    }

    [Fact]
    public async Task Open_WhatNobodyHolds_IsRejectedWithTheRemedy()
    {
        var written = await Writer.RentSharedAsync(2 * MiB).DefaultTimeout();
        written.Dispose();
        await TestTimeouts.UntilAsync(() => Engine.GetStatistics().Leases == 0);

        var rejected = (await FluentActions.Awaiting(() => Reader.OpenSharedAsync(written.Token).DefaultTimeout()).Should()
            .ThrowAsync<PoolRequestRejectedException>()).Which;

        (rejected.Code, rejected.IsTransient).Should().Be((5, false));
        rejected.Message.Should().Contain("same user").And.NotContain(written.Token[..16]);
    }

    [Fact]
    public async Task ServerAway_IsUnavailable_AndWhatIsOpenStaysUsable()
    {
        using var written = await Writer.RentSharedAsync(2 * MiB).DefaultTimeout();
        using var read = await Reader.OpenSharedAsync(written.Token).DefaultTimeout();
        await _provider.GetRequiredService<PoolServer>().DisposeAsync().DefaultTimeout();

        var other = new string('1', 32) + written.Token[32..];
        foreach (var call in new Func<ValueTask<SharedLease>>[] { () => Writer.RentSharedAsync(1), () => Reader.OpenSharedAsync(other) })
        {
            (await FluentActions.Awaiting(() => call().DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>())
                .Which.IsTransient.Should().BeTrue();
        }

        written.Lease.AsSpan<byte>()[1] = 9;
        read.Lease.AsSpan<byte>()[1].Should().Be(9);
    }

    [Fact]
    public async Task Cancelled_LeavesNothing()
    {
        var cancelled = new CancellationToken(true);
        await FluentActions.Awaiting(() => Writer.RentSharedAsync(1, cancelled).DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();

        WritersPool.GetSnapshot().ReservedBytes.Should().Be(0);
    }

    [Fact]
    public async Task DisposedPool_TellsOfIt_AndMemoryStaysMappedUntilItsLeaseIsBack()
    {
        var shared = await Writer.RentSharedAsync(3 * MiB).DefaultTimeout();

        await WritersPool.Awaiting(pool => ((IAsyncDisposable)pool).DisposeAsync().DefaultTimeout()).Should()
            .ThrowAsync<InvalidOperationException>().WithMessage($"*1 live leases*{4 * MiB} B*");

        shared.Lease.AsSpan<byte>().Fill(1);
        shared.Dispose();
        _pinner.Pinned.Should().BeEmpty();
        await FluentActions.Awaiting(() => Writer.RentSharedAsync(1).DefaultTimeout()).Should().ThrowAsync<ObjectDisposedException>();
        await FluentActions.Awaiting(() => Writer.OpenSharedAsync(shared.Token).DefaultTimeout()).Should().ThrowAsync<ObjectDisposedException>();
    }

    [Fact]
    public async Task MemoryThatCannotBeUnpinned_StaysMappedAndCounted()
    {
        _pinner.FailingUnpins.Add(1);
        var shared = await Writer.RentSharedAsync(2 * MiB).DefaultTimeout();

        shared.Dispose();

        WritersPool.GetSnapshot().Should().Match<PoolSnapshot>(s => s.QuarantinedBytes == 2 * MiB && s.ReservedBytes == 2 * MiB && s.LiveLeases == 0);
        Engine.GetStatistics().LeasedBytes.Should().Be(2 * MiB, "a device may still use it");
    }

    [Fact]
    public async Task ManyAtOnce_NeverExceedTheCapacity_AndAllComeBack()
    {
        var served = 0;
        await Task.WhenAll(Enumerable.Range(0, 4).Select(worker => Task.Run(async () =>
        {
            var dice = new Random(worker);
            for (var i = 0; i < 50; i++)
            {
                try
                {
                    using var shared = await Writer.RentSharedAsync(dice.NextInt64(1, 8 * MiB));
                    using var rented = dice.Next(2) == 0 ? WritersPool.Rent(MiB) : null;
                    using var read = await Reader.OpenSharedAsync(shared.Token);
                    read.Lease.GetSpan(read.Lease.LengthBytes - 1, 1)[0] = (byte)(worker + 1);
                    shared.Lease.GetSpan(read.Lease.LengthBytes - 1, 1)[0].Should().Be((byte)(worker + 1));
                    WritersPool.GetSnapshot().ReservedBytes.Should().BeLessThanOrEqualTo(16 * MiB);
                    Interlocked.Increment(ref served);
                }
                catch (PinnedMemoryExhaustedException)
                {
                    // The others have it.
                }
            }
        }))).DefaultTimeout();

        served.Should().BePositive();
        WritersPool.Trim();
        WritersPool.GetSnapshot().Should().Match<PoolSnapshot>(s => s.UsedBytes == 0 && s.ReservedBytes == 0 && s.LiveLeases == 0);
        await TestTimeouts.UntilAsync(() => Engine.GetStatistics() is { LeasedBytes: 0, PendingBytes: 0 });
    }
}
