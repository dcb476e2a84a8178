using LpLlm.Memory.TestKit;
using static LpLlm.Memory.Transport.Client.ServerHarness;

namespace LpLlm.Memory.Transport.Client;

/// <summary>What a client has of the server's memory when connections, replies or the server are lost.</summary>
public class ServerMemorySourceFaultTests
{
    [Theory]
    [InlineData(PoolMethod.Acquire, "LostReply")]
    [InlineData(PoolMethod.Acquire, "LostRequest")]
    [InlineData(PoolMethod.Grow, "LostReply")]
    [InlineData(PoolMethod.Grow, "LostRequest")]
    [InlineData(PoolMethod.Hello, "LostReply")]
    public async Task S4_AReplyIsLost_TheRequestIsRepeatedAndTakesEffectOnce(PoolMethod lost, string fault)
    {
        await using var server = new ServerHarness();
        var left = lost == PoolMethod.Hello ? 0 : 1;
        server.Network.Decide = method =>
            ValueTask.FromResult(method == lost && Interlocked.Decrement(ref left) == 0 ? Enum.Parse<CallFault>(fault) : CallFault.None);
        await using var source = server.CreateSource();

        using var a = await source.ReserveAsync(8 * MiB).DefaultTimeout();
        using var b = await source.ReserveAsync(8 * MiB).DefaultTimeout();

        server.Statistics.Should().Match<Engine.EngineStatistics>(s => s.LeasedBytes == 16 * MiB && s.Leases == 1);
        Bytes(a).Fill(1);
        Bytes(b).Fill(2);
        Bytes(a).IndexOfAnyExcept((byte)1).Should().Be(-1);
        a.Dispose();
        b.Dispose();
        await TestTimeouts.UntilAsync(() => server.Statistics is { LeasedBytes: 0, PendingBytes: 0 });
    }

    [Fact]
    public async Task S4_TheReplyIsLostAndTheServerUnreachable_FailsAndIsWithdrawnLater()
    {
        await using var server = new ServerHarness();
        var lose = true;
        server.Network.Decide = method =>
        {
            if (method != PoolMethod.Acquire || !lose)
            {
                return ValueTask.FromResult(CallFault.None);
            }

            lose = false;
            server.Network.RefusesConnections = true;
            return ValueTask.FromResult(CallFault.LostReply);
        };
        await using var source = server.CreateSource();

        var error = (await source.Awaiting(s => s.ReserveAsync(8 * MiB).AsTask().DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>()).Which;

        error.IsTransient.Should().BeTrue();
        server.Statistics.LeasedBytes.Should().Be(8 * MiB, "the server had acted");
        server.Network.RefusesConnections = false;
        await server.UntilEmptyAsync();
        (await source.ReserveAsync(32 * MiB).DefaultTimeout()).Dispose();
    }

    [Fact]
    public async Task LostGiveBack_IsToldAgainOnTheNextConnection()
    {
        await using var server = new ServerHarness();
        await using var source = server.CreateSource();
        var faults = new Queue<CallFault>([CallFault.LostRequest, CallFault.LostReply]);
        var a = await source.ReserveAsync(8 * MiB).DefaultTimeout();
        var b = await source.ReserveAsync(8 * MiB).DefaultTimeout();
        server.Network.Decide = method =>
            ValueTask.FromResult(method == PoolMethod.Shrink && faults.TryDequeue(out var fault) ? fault : CallFault.None);

        a.Dispose();
        b.Dispose();

        await TestTimeouts.UntilAsync(() => server.Statistics is { LeasedBytes: 0, PendingBytes: 0 });
        faults.Should().BeEmpty();
        (await source.ReserveAsync(32 * MiB).DefaultTimeout()).Dispose();
    }

    [Fact]
    public async Task ServerThatIsNotThere_FailsTypedAndIsFoundWhenItComes()
    {
        await using var server = new ServerHarness();
        await server.StopAsync();
        await using var source = server.CreateSource();

        for (var i = 0; i < 3; i++)
        {
            (await source.Awaiting(s => s.ReserveAsync(1).AsTask().DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>())
                .Which.Message.Should().Contain("loopback://pool");
        }

        await server.StartAsync();
        (await ReserveUntilThereAsync(source, 2 * MiB)).Dispose();
    }

    [Fact]
    public async Task Row04_ServerKilled_DataStaysReadable_NewRequestsFailTyped()
    {
        await using var server = new ServerHarness();
        await using var source = server.CreateSource();
        using var region = await source.ReserveAsync(8 * MiB).DefaultTimeout();
        Bytes(region).Fill(3);

        await server.StopAsync();

        await source.Awaiting(s => s.ReserveAsync(2 * MiB).AsTask().DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();
        Bytes(region).IndexOfAnyExcept((byte)3).Should().Be(-1);
        Bytes(region).Fill(4);
        await server.StartAsync();
    }

    [Fact]
    public async Task Row05_ServerRestarted_TakesTheMemoryOver_NoByteLostNoAddressChanged()
    {
        await using var server = new ServerHarness();
        await using var source = server.CreateSource();
        var regions = new List<MemoryRegion>();
        for (var i = 0; i < 3; i++)
        {
            regions.Add(await source.ReserveAsync(6 * MiB).DefaultTimeout());
            Bytes(regions[i]).Fill((byte)(i + 1));
        }

        var token = TokenOf(regions[0]);
        regions[1].Dispose();
        await TestTimeouts.UntilAsync(() => server.Statistics.LeasedBytes == 12 * MiB);
        var epoch = server.Engine.Epoch;
        await server.StopAsync();
        await server.StartAsync();

        await TestTimeouts.UntilAsync(() => server.Statistics.LeasedBytes == 12 * MiB);
        server.Engine.Epoch.Should().NotBe(epoch);
        using var more = await ReserveUntilThereAsync(source, 6 * MiB);
        server.Statistics.Leases.Should().Be(1, "the lease goes on");
        TokenOf(regions[0]).Should().Be(token);
        Bytes(regions[0]).IndexOfAnyExcept((byte)1).Should().Be(-1);
        Bytes(regions[2]).IndexOfAnyExcept((byte)3).Should().Be(-1);
        Bytes(regions[0]).Fill(9);
        var first = server.Engine.Inspect(server.Engine.List().Single().Id).Segments[0].Segment;
        FirstByte(first.Address).Should().Be(9, "the new server maps the very same memory");
        regions[0].Dispose();
        regions[2].Dispose();
        await TestTimeouts.UntilAsync(() => server.Statistics.LeasedBytes == 6 * MiB);
    }

    [Fact]
    public async Task Row05_ServerRestarted_GivenBackMeanwhile_IsNotTakenOver()
    {
        await using var server = new ServerHarness();
        await using var source = server.CreateSource();
        using var kept = await source.ReserveAsync(6 * MiB).DefaultTimeout();
        var given = await source.ReserveAsync(6 * MiB).DefaultTimeout();
        await server.StopAsync();
        given.Dispose();
        await server.StartAsync();

        await TestTimeouts.UntilAsync(() => server.Statistics.LeasedBytes == 6 * MiB);

        using var more = await ReserveUntilThereAsync(source, 26 * MiB);
        server.Statistics.LeasedBytes.Should().Be(32 * MiB);
    }

    [Fact]
    public async Task Row05_ServerRestartedWhereDescriptorsDoNotTravel_OldMemoryIsKeptAndNewComesByANewLease()
    {
        await using var server = new ServerHarness();
        server.Disguise = peer => peer with { PassesFiles = false };
        await using var source = server.CreateSource();
        using var old = await source.ReserveAsync(8 * MiB).DefaultTimeout();
        Bytes(old).Fill(8);
        await server.StopAsync();
        await server.StartAsync();

        using var more = await ReserveUntilThereAsync(source, 8 * MiB);

        server.Statistics.LeasedBytes.Should().Be(8 * MiB);
        Bytes(old).IndexOfAnyExcept((byte)8).Should().Be(-1);
        server.Logger.Entries.Should().ContainSingle(entry => entry.Id == 2034);
        old.Dispose();
        more.Dispose();
        await TestTimeouts.UntilAsync(() => server.Statistics.LeasedBytes == 0);
    }

    [Fact]
    public async Task Row5_ServerRestarted_LongLeaseIsShownInParts()
    {
        await using var server = new ServerHarness(settings => settings with { CapacityBytes = 256 * MiB });
        await using var source = server.CreateSource(options: Options(256 * MiB));
        var regions = await ReserveSegmentsAsync(source, 70);
        Bytes(regions[69])[0] = 7;
        var restores = CountCalls(server, PoolMethod.Restore);
        await server.StopAsync();
        await server.StartAsync();

        await TestTimeouts.UntilAsync(() => server.Statistics.LeasedBytes == 140 * MiB);

        restores().Should().Be(2, "70 segments are more than one call takes");
        var segments = server.Engine.Inspect(server.Engine.List().Should().ContainSingle().Subject.Id).Segments;
        segments.Should().HaveCount(70);
        FirstByte(segments[69].Segment.Address).Should().Be(7, "the order is kept");
        regions.ForEach(region => region.Dispose());
    }

    [Fact]
    public async Task Row5_ServerRestarted_TakesOnlyAPart_TheRestStaysUsableAndIsToldToNobody()
    {
        var most = 256 * MiB;
        await using var server = new ServerHarness(settings => settings with { CapacityBytes = 256 * MiB, MaxClientBytes = most });
        await using var source = server.CreateSource(options: Options(256 * MiB));
        var regions = await ReserveSegmentsAsync(source, 70);
        Bytes(regions[69]).Fill(7);
        most = 130 * MiB;
        await server.StopAsync();
        await server.StartAsync();

        await TestTimeouts.UntilAsync(() => server.Logger.Entries.Any(entry => entry.Id == 2034));

        server.Statistics.LeasedBytes.Should().Be(128 * MiB);
        Bytes(regions[69]).IndexOfAnyExcept((byte)7).Should().Be(-1);
        regions.ForEach(region => region.Dispose());
        await TestTimeouts.UntilAsync(() => server.Statistics.LeasedBytes == 0);
        (await ReserveUntilThereAsync(source, 2 * MiB)).Dispose();
        server.Logger.Entries.Should().NotContain(entry => entry.Id == 2040);
    }

    [Fact]
    public async Task ServerThatHangs_RequestsFailLongBeforeTheirDeadlines()
    {
        await using var server = new ServerHarness { RenewInterval = TimeSpan.FromMinutes(5) };
        await server.StopAsync();
        await server.StartAsync();
        var patient = Options() with { RequestTimeout = TimeSpan.FromHours(1), AcquireTimeout = TimeSpan.FromMinutes(5) };
        await using var source = server.CreateSource(options: patient);
        using var region = await source.ReserveAsync(2 * MiB).DefaultTimeout();
        var stopped = new TaskCompletionSource();
        server.Network.Decide = async _ =>
        {
            await stopped.Task;
            return CallFault.None;
        };

        for (var i = 0; i < 2; i++)
        {
            await source.Awaiting(s => s.ReserveAsync(2 * MiB).AsTask().DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();
        }

        stopped.SetResult();
        (await ReserveUntilThereAsync(source, 2 * MiB)).Dispose();
    }

    [Fact]
    public async Task ServerThatMakesMemory_GivesSignsOfLife_IsWaitedForAsLongAsTheLengthTakes()
    {
        await using var server = new ServerHarness(settings => settings with { CapacityBytes = 1024 * MiB }) { RenewInterval = TimeSpan.FromMinutes(5) };
        await server.StopAsync();
        await server.StartAsync();
        var hasty = Options(1024 * MiB) with { RequestTimeout = TimeSpan.FromMilliseconds(400), AcquireTimeout = TimeSpan.FromMilliseconds(1) };
        await using var source = server.CreateSource(options: hasty);
        using var region = await ReserveUntilThereAsync(source, 2 * MiB);
        var signs = CountCalls(server, PoolMethod.Renew);
        var gate = new TaskCompletionSource();
        server.Memory.Gate = gate.Task;

        var growth = source.ReserveAsync(1000 * MiB).AsTask();
        await TestTimeouts.UntilAsync(() => signs() >= 2);
        gate.SetResult();

        (await growth.DefaultTimeout()).Dispose();
        server.Network.Connects.Should().Be(1);
    }

    [Fact]
    public async Task S4_TheReplyCannotBeSent_TheGrantIsUndone()
    {
        await using var server = new ServerHarness();
        await using var source = server.CreateSource();
        FailOnce(server, PoolMethod.Acquire, CallFault.RefusedReply);

        await source.Awaiting(s => s.ReserveAsync(8 * MiB).AsTask().DefaultTimeout()).Should().ThrowAsync<PinnedMemoryException>();

        await server.UntilEmptyAsync();
        (await source.ReserveAsync(32 * MiB).DefaultTimeout()).Dispose();
    }

    [Theory]
    [InlineData("LostReply")]
    [InlineData("RefusedReply")]
    public async Task S4_Attach_TheReplyIsLost_TheLeaseIsLetGoOfAgain(string fault)
    {
        await using var server = new ServerHarness();
        await using var owner = server.CreateSource();
        await using var reader = server.CreateSource();
        using var written = await owner.ReserveAsync(8 * MiB).DefaultTimeout();
        (await reader.ReserveAsync(2 * MiB).DefaultTimeout()).Dispose();
        FailOnce(server, PoolMethod.Attach, Enum.Parse<CallFault>(fault));
        var token = TokenOf(written);

        await reader.Awaiting(s => s.AttachAsync(token, CancellationToken.None).DefaultTimeout()).Should().ThrowAsync<PinnedMemoryException>();

        await TestTimeouts.UntilAsync(() => server.Engine.List().All(lease => lease.HolderCount == 1));
        using var read = await reader.AttachAsync(token, CancellationToken.None).DefaultTimeout();
        Bytes(written)[0] = 9;
        Bytes(read)[0].Should().Be(9);
    }

    [Fact]
    public async Task SharersOfALease_MeetAgainAfterARestart()
    {
        await using var server = new ServerHarness();
        await using var owner = server.CreateSource();
        await using var reader = server.CreateSource();
        using var written = await owner.ReserveAsync(6 * MiB).DefaultTimeout();
        using var read = await reader.AttachAsync(TokenOf(written), CancellationToken.None).DefaultTimeout();
        await server.StopAsync();
        await server.StartAsync();

        await TestTimeouts.UntilAsync(() => server.Engine.List() is [{ HolderCount: 2 }]);

        server.Statistics.LeasedBytes.Should().Be(6 * MiB);
        Bytes(written)[0] = 1;
        Bytes(read)[0].Should().Be(1);
    }

    [Fact]
    public async Task Row13_ARevokedSharedLease_StaysUsable_AndGoesBackByItself()
    {
        await using var server = new ServerHarness();
        await using var owner = server.CreateSource();
        await using var reader = server.CreateSource();
        var written = await owner.ReserveSharedAsync(2 * MiB, CancellationToken.None).DefaultTimeout();
        Bytes(written).Fill(5);

        server.Engine.Revoke(server.Engine.List().Single().Id, "maintenance");

        await TestTimeouts.UntilAsync(() => server.Logger.Entries.Any(entry => entry.Id == 2038));
        owner.HoldsRevoked.Should().BeFalse("no slab of the pool is wanted");
        Bytes(written).IndexOfAnyExcept((byte)5).Should().Be(-1);
        (await reader.Awaiting(s => s.AttachAsync(TokenOf(written), CancellationToken.None).DefaultTimeout()).Should()
            .ThrowAsync<PoolRequestRejectedException>()).Which.Code.Should().Be((int)PoolFaultCode.Aborted);
        written.Dispose();
        await server.UntilEmptyAsync();
    }

    [Fact]
    public async Task Row13_RevokedWhileInUse_IsNeitherReusedNorTouchedUntilGivenBack()
    {
        await using var server = new ServerHarness(settings => settings with { TrimPatience = TimeSpan.Zero });
        await using var source = server.CreateSource();
        await using var other = server.CreateSource();
        var asked = new TaskCompletionSource<long>();
        source.TrimRequested = bytes => asked.TrySetResult(bytes);
        var region = await source.ReserveAsync(8 * MiB).DefaultTimeout();
        Bytes(region).Fill(5);

        server.Engine.Revoke(server.Engine.List().Single().Id, "maintenance");

        (await asked.Task.DefaultTimeout()).Should().Be(long.MaxValue);
        using (var others = await other.ReserveAsync(32 * MiB).DefaultTimeout())
        {
            Bytes(others).Fill(6);
            Bytes(region).IndexOfAnyExcept((byte)5).Should().Be(-1);
        }

        using var more = await source.ReserveAsync(8 * MiB).DefaultTimeout();
        server.Engine.List().Should().HaveCount(3, "new memory comes by a new lease, and the other client may still grow its own").And.Contain(lease => lease.State == Engine.LeaseState.Revoked);
        region.Dispose();
        await TestTimeouts.UntilAsync(() => server.Engine.List().All(lease => lease.State == Engine.LeaseState.Leased));
        server.Logger.Entries.Should().ContainSingle(entry => entry.Id == 2038);
    }

    [Fact]
    public async Task Row14_RevokedDuringACopy_TheCopyEndsInItsOwnMemory()
    {
        await using var server = new ServerHarness();
        await using var source = server.CreateSource();
        using var from = await source.ReserveAsync(8 * MiB).DefaultTimeout();
        using var to = await source.ReserveAsync(8 * MiB).DefaultTimeout();
        Bytes(from).Fill(7);
        var lease = server.Engine.List().Single().Id;

        for (var i = 0; i < 8; i++)
        {
            Bytes(from).Slice(i << 20, 1 << 20).CopyTo(Bytes(to)[(i << 20)..]);
            if (i == 3)
            {
                server.Engine.Revoke(lease, "over");
                await TestTimeouts.UntilAsync(() => server.Logger.Entries.Any(entry => entry.Id == 2038));
            }
        }

        Bytes(to).IndexOfAnyExcept((byte)7).Should().Be(-1, "nothing is reused or zeroed before its holder lets go");
        server.Statistics.LeasedBytes.Should().Be(16 * MiB);
    }

    [Fact]
    public async Task RevokedEvent_LostWithTheConnection_ComesWithTheNext()
    {
        await using var server = new ServerHarness();
        await using var source = server.CreateSource();
        var asked = new TaskCompletionSource<long>();
        source.TrimRequested = bytes => asked.TrySetResult(bytes);
        using var region = await source.ReserveAsync(2 * MiB).DefaultTimeout();
        server.Network.RefusesConnections = true;
        await server.Network.DropAsync();
        server.Engine.Revoke(server.Engine.List().Single().Id, "meanwhile");

        server.Network.RefusesConnections = false;

        (await asked.Task.DefaultTimeout()).Should().Be(long.MaxValue);
    }

    [Fact]
    public async Task Trim_AnotherClientNeedsRoom_IsAskedOf_AndMakesIt()
    {
        await using var server = new ServerHarness(settings => settings with { CapacityBytes = 16 * MiB, TrimPatience = TimeSpan.FromSeconds(30) });
        await using var idle = server.CreateSource();
        await using var busy = server.CreateSource(options: Options() with { AcquireTimeout = TimeSpan.FromSeconds(30) });
        var region = await idle.ReserveAsync(16 * MiB).DefaultTimeout();
        idle.TrimRequested = bytes =>
        {
            bytes.Should().Be(8 * MiB);
            region.Dispose();
            throw new InvalidOperationException("the host's own trouble");
        };

        using var got = await busy.ReserveAsync(8 * MiB).DefaultTimeout();

        server.Statistics.TrimRequests.Should().BePositive();
        await TestTimeouts.UntilAsync(() => server.Logger.Entries.Any(entry => entry.Id == 2036));
    }

    [Fact]
    public async Task HeartbeatIsNotAnswered_ConnectsAnew_AndNothingIsLost()
    {
        await using var server = new ServerHarness();
        var stuck = new TaskCompletionSource();
        var beats = 0;
        server.Network.Decide = async method =>
        {
            if (method == PoolMethod.Renew && Interlocked.Increment(ref beats) == 1)
            {
                await stuck.Task;
            }

            return CallFault.None;
        };
        await using var source = server.CreateSource(options: Options() with { RequestTimeout = TimeSpan.FromMilliseconds(300) });
        using var region = await ReserveUntilThereAsync(source, 2 * MiB);
        Bytes(region).Fill(2);

        await TestTimeouts.UntilAsync(() => Volatile.Read(ref beats) > 0);
        stuck.SetResult();
        await TestTimeouts.UntilAsync(() => server.Network.Connects > 1 || Volatile.Read(ref beats) > 3);

        (await ReserveUntilThereAsync(source, 2 * MiB)).Dispose();
        Bytes(region).IndexOfAnyExcept((byte)2).Should().Be(-1);
        server.Statistics.Sessions.Should().Be(1, "the session was resumed");
    }

    [Fact]
    public async Task SessionExpiredOnTheServer_OldMemoryStaysUsable_NewComesByANewSession()
    {
        await using var server = new ServerHarness(settings => settings with { SessionTimeout = TimeSpan.FromMilliseconds(200) }) { RenewInterval = TimeSpan.FromMinutes(5) };
        await server.StopAsync();
        await server.StartAsync();
        server.Disguise = peer => peer with { Exited = null, IsThisProcess = false };
        await using var source = server.CreateSource();
        using var old = await source.ReserveAsync(2 * MiB).DefaultTimeout();
        Bytes(old).Fill(1);

        await TestTimeouts.UntilAsync(() => server.Logger.Entries.Any(entry => entry.Id == 2034));

        Bytes(old).IndexOfAnyExcept((byte)1).Should().Be(-1);
        (await ReserveUntilThereAsync(source, 2 * MiB)).Dispose();
        old.Dispose();
    }

    [Fact]
    public async Task ServerThatRefusesTheUser_IsAPermanentError()
    {
        await using var server = new ServerHarness();
        server.Disguise = peer => peer with { UserId = 4711 };
        await using var source = server.CreateSource();

        var error = (await source.Awaiting(s => s.ReserveAsync(1).AsTask().DefaultTimeout()).Should().ThrowAsync<PoolRequestRejectedException>()).Which;

        error.Code.Should().Be((int)PoolFaultCode.PermissionDenied);
        error.IsTransient.Should().BeFalse();
    }

    /// <summary>Right after a loss requests fail at once; the background connects within milliseconds.</summary>
    internal static async Task<MemoryRegion> ReserveUntilThereAsync(ServerMemorySource source, long lengthBytes)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (true)
        {
            try
            {
                return await source.ReserveAsync(lengthBytes, null, deadline.Token);
            }
            catch (PoolServerUnavailableException)
            {
                await Task.Delay(1, deadline.Token);
            }
        }
    }

    private static async Task<List<MemoryRegion>> ReserveSegmentsAsync(ServerMemorySource source, int count)
    {
        var regions = new List<MemoryRegion>();
        for (var i = 0; i < count; i++)
        {
            regions.Add(await source.ReserveAsync(2 * MiB).DefaultTimeout());
        }

        return regions;
    }

    private static Func<int> CountCalls(ServerHarness server, PoolMethod counted)
    {
        var count = 0;
        server.Network.Decide = method =>
        {
            _ = method == counted ? Interlocked.Increment(ref count) : 0;
            return ValueTask.FromResult(CallFault.None);
        };
        return () => Volatile.Read(ref count);
    }

    private static void FailOnce(ServerHarness server, PoolMethod failing, CallFault fault)
    {
        var left = 1;
        server.Network.Decide = method =>
            ValueTask.FromResult(method == failing && Interlocked.Decrement(ref left) == 0 ? fault : CallFault.None);
    }

    private static unsafe byte FirstByte(nint address) => *(byte*)address;
}
