using LpLlm.Memory.Pooling;
using LpLlm.Memory.Tests.Pooling;

namespace LpLlm.Memory.Tests.Hybrid;

public sealed class HybridUnavailabilityTests : HybridFixture, IDisposable
{
    private readonly SwitchablePool _server;
    private readonly PinnedPool _local;

    public HybridUnavailabilityTests()
    {
        _server = new SwitchablePool(Pool("server", 4 * MiB));
        _local = Pool("local");
    }

    [Fact]
    public async Task Outage_FallsBackAtOnceAndReturnsWhenTheMemberWorksAgain()
    {
        using var sut = Hybrid(Chain(_server), Chain(_local));
        sut.Rent(1000).Dispose();
        _server.TakeAway();

        using (var lease = sut.Rent(1000))
        {
            (lease.PoolName, lease.Placement).Should().Be(("local", LeasePlacement.Unavailable));
        }

        sut.GetHops()[0].Should().Match<HopStatistics>(
            hop => !hop.IsAvailable && hop.UnavailableRents == 1 && hop.LastFailure!.Contains("test://server"));
        _server.BringBack();
        await UntilRecoveredAsync(sut, hop: 0);
        using (var lease = sut.Rent(1000))
        {
            (lease.PoolName, lease.Placement).Should().Be(("server", LeasePlacement.FirstChoice));
        }

        sut.GetHops()[0].LastFailure.Should().Contain("test://server", "what happened stays readable");
        Logger.Entries.Where(entry => entry.Id is 1030 or 1031).Select(entry => entry.Id).Should().Equal(1030, 1031);
        _server.GetSnapshot().LiveLeases.Should().Be(0, "probes return what they rent");
    }

    [Fact]
    public async Task Outage_TheMemberIsNotAskedExceptByOneProbeAnInterval()
    {
        using var sut = Hybrid(Chain(_server), Chain(_local));
        _server.TakeAway();
        for (var i = 0; i < 10; i++)
        {
            sut.Rent(1000).Dispose();
            (await sut.RentAsync(1000).DefaultTimeout()).Dispose();
        }

        _server.Asked.Should().Be(1);
        for (var probes = 1; probes <= 3; probes++)
        {
            await TestTimeouts.UntilAsync(() => Time.ActiveTimers == 1);
            Time.Advance(TimeSpan.FromMilliseconds(499));
            _server.Asked.Should().Be(probes);
            Time.Advance(TimeSpan.FromMilliseconds(1));
            await TestTimeouts.UntilAsync(() => _server.Asked == probes + 1);
        }

        Logger.Entries.Should().ContainSingle(entry => entry.Id == 1030);
    }

    [Fact]
    public async Task Outage_RentAsync_FallsBackAndSaysSo()
    {
        using var sut = Hybrid(Chain(_server), Chain(_local));
        _server.TakeAway();

        using var lease = await sut.RentAsync(1000).DefaultTimeout();

        (lease.PoolName, lease.Placement).Should().Be(("local", LeasePlacement.Unavailable));
    }

    [Fact]
    public async Task Outage_AndTheOthersAreFull_IsNoRoomNow()
    {
        using var sut = Hybrid(Chain(_server), Chain(_local));
        using var all = _local.Rent(MiB);
        _server.TakeAway();

        sut.TryRent(1000, out _).Should().BeFalse();
        var error = sut.Invoking(pool => pool.Rent(1000)).Should().Throw<PinnedMemoryExhaustedException>().Which;
        error.IsTransient.Should().BeTrue();
        error.InnerException.Should().BeOfType<PoolServerUnavailableException>();
        await sut.Awaiting(pool => pool.RentAsync(new RentRequest(1000) { Timeout = TimeSpan.Zero }).DefaultTimeout())
            .Should().ThrowAsync<PinnedMemoryExhaustedException>();
    }

    [Fact]
    public async Task Outage_AndTheOthersCanNeverServeIt_IsTheOutageItself()
    {
        using var sut = Hybrid(Chain(_server), Chain(_local));
        _server.TakeAway();

        for (var round = 0; round < 2; round++)
        {
            sut.Invoking(pool => pool.Rent(2 * MiB)).Should().Throw<PoolServerUnavailableException>().Which.IsTransient.Should().BeTrue();
            sut.Invoking(pool => pool.TryRent(2 * MiB, out _)).Should().Throw<PoolServerUnavailableException>();
            await sut.Awaiting(pool => pool.RentAsync(2 * MiB).DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();
        }

        sut.GetSnapshot().FailedRents.Should().Be(0, "there was room, as far as anybody knows");
    }

    [Fact]
    public void FallBackOnUnavailabilityOff_EachFailureReachesTheCaller()
    {
        using var sut = Hybrid(Settings() with { FallBackOnUnavailability = false }, Chain(_server), Chain(_local));
        _server.TakeAway();

        sut.Invoking(pool => pool.Rent(1)).Should().Throw<PoolServerUnavailableException>();
        sut.Invoking(pool => pool.TryRent(1, out _)).Should().Throw<PoolServerUnavailableException>();
        _server.BringBack();

        sut.Rent(1).Dispose();
        _server.Asked.Should().Be(3, "no probe, no pause");
    }

    [Fact]
    public async Task RentAsync_WaitingWhenAMemberFails_GoesOnWithTheOthers()
    {
        using var sut = Hybrid(Chain(_server), Chain(_local));
        using var server = _server.Rent(4 * MiB);
        var local = _local.Rent(MiB);
        var waiting = sut.RentAsync(1000).AsTask();

        _server.TakeAway();
        await TestTimeouts.UntilAsync(() => !sut.GetHops()[0].IsAvailable);
        waiting.IsCompleted.Should().BeFalse();
        local.Dispose();

        using var lease = await waiting.DefaultTimeout();
        (lease.PoolName, lease.Placement).Should().Be(("local", LeasePlacement.Unavailable));
    }

    [Fact]
    public async Task RentAsync_WaitingWhenAMemberRecovers_IsServedByIt()
    {
        using var sut = Hybrid(Chain(_server), Chain(_local));
        using var local = _local.Rent(MiB);
        _server.TakeAway();
        var waiting = sut.RentAsync(new RentRequest(1000) { Timeout = TimeSpan.FromMinutes(10) }).AsTask();
        waiting.IsCompleted.Should().BeFalse();

        _server.BringBack();
        await UntilRecoveredAsync(sut, hop: 0);

        using var lease = await waiting.DefaultTimeout();
        (lease.PoolName, lease.Placement).Should().Be(("server", LeasePlacement.FirstChoice));
    }

    [Fact]
    public async Task RentAsync_AMemberThatRecovers_GetsTheRestOfTheDeadline()
    {
        using var server = new SwitchablePool(Pool("timed-server", time: Time));
        using var local = Pool("timed-local", time: Time);
        using var sut = Hybrid(Chain(server), Chain(local));
        using var a = server.Rent(MiB);
        using var b = local.Rent(MiB);
        server.TakeAway();
        var waiting = sut.RentAsync(new RentRequest(1000) { Timeout = TimeSpan.FromSeconds(5) }).AsTask();
        await TestTimeouts.UntilAsync(() => Time.ActiveTimers == 2);
        server.BringBack();
        Time.Advance(TimeSpan.FromMilliseconds(500));
        await TestTimeouts.UntilAsync(() => server.GetSnapshot().WaitingRents == 1 && Time.ActiveTimers == 2);

        Time.Advance(TimeSpan.FromSeconds(4.5));

        (await waiting.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<PinnedMemoryExhaustedException>())
            .Which.Message.Should().Contain("waited 5 s");
    }

    [Fact]
    public async Task RentAsync_WaitingWhenTheOnlyMemberFails_Fails()
    {
        using var sut = Hybrid(Chain(_server));
        using var all = _server.Rent(4 * MiB);
        var waiting = sut.RentAsync(1000).AsTask();

        _server.TakeAway();

        await waiting.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();
        sut.GetSnapshot().WaitingRents.Should().Be(0);
    }

    [Fact]
    public async Task Probe_OfAFullMember_FindsThatItWorks()
    {
        using var sut = Hybrid(Chain(_server), Chain(_local));
        using var all = _server.Rent(4 * MiB);
        _server.TakeAway();
        sut.Rent(1000).Dispose();
        _server.BringBack();

        await UntilRecoveredAsync(sut, hop: 0);
    }

    [Fact]
    public void Dispose_DuringAnOutage_EndsTheProbes()
    {
        var sut = Hybrid(Chain(_server), Chain(_local));
        _server.TakeAway();
        sut.Rent(1000).Dispose();
        Time.ActiveTimers.Should().Be(1);

        sut.Dispose();

        Time.ActiveTimers.Should().Be(0);
    }

    [Fact]
    public async Task OutagesWhileManyRent_NobodyFailsAndEverythingComesBack()
    {
        using var sut = new HybridPool(
            Settings() with { RetryInterval = TimeSpan.FromMilliseconds(1) }, [Chain(_server), Chain(_local)], Logger);
        var renting = Enumerable.Range(0, 3).Select(id => Task.Run(async () =>
        {
            for (var i = 0; i < 2000; i++)
            {
                using var lease = i % 2 == 0 ? sut.Rent(1000) : await sut.RentAsync(1000);
            }
        })).ToArray();
        var switching = Task.Run(async () =>
        {
            while (!renting.All(task => task.IsCompleted))
            {
                _server.TakeAway();
                await Task.Yield();
                _server.BringBack();
                await Task.Delay(1);
            }
        });

        await Task.WhenAll(renting.Append(switching)).DefaultTimeout();

        await TestTimeouts.UntilAsync(() => sut.GetHops()[0].IsAvailable && sut.GetSnapshot().LiveLeases == 0);
        sut.GetSnapshot().UsedBytes.Should().Be(0);
        sut.GetHops().Sum(hop => hop.ServedRents).Should().Be(6000);
    }

    public void Dispose()
    {
        _server.Dispose();
        _local.Dispose();
    }
}
