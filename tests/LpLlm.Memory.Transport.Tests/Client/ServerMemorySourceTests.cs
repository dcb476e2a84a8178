using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Win32.SafeHandles;
using static LpLlm.Memory.Transport.Client.ServerHarness;

namespace LpLlm.Memory.Transport.Client;

/// <summary>What a client has of the server's memory while nothing is lost.</summary>
public class ServerMemorySourceTests
{
    [Fact]
    public async Task C1_ARegion_IsTheServersMemoryItself()
    {
        await using var server = new ServerHarness();
        await using var source = server.CreateSource();
        using var region = await source.ReserveAsync(8 * MiB).DefaultTimeout();
        Bytes(region)[0] = 42;
        Bytes(region)[^1] = 43;

        var summary = server.Engine.List().Should().ContainSingle().Subject;
        var segments = server.Engine.Inspect(summary.Id).Segments;

        segments.Sum(segment => segment.Segment.LengthBytes).Should().Be(8 * MiB);
        ByteAt(segments[0].Segment.Address).Should().Be(42, "nothing stands before the first byte, and no copy was made");
        ByteAt(segments[^1].Segment.Address + (nint)segments[^1].Segment.LengthBytes - 1).Should().Be(43);
        summary.Name.Should().Be("test");
    }

    [Fact]
    public async Task S8_ALease_IsADescriptorAndALength_WithoutHeaderOrTextToParse()
    {
        await using var server = new ServerHarness();
        await using var source = server.CreateSource();
        using var region = await source.ReserveAsync(2 * MiB).DefaultTimeout();

        region.LengthBytes.Should().Be(2 * MiB, "a header would take of it");
        Bytes(region).IndexOfAnyExcept((byte)0).Should().Be(-1);
    }

    [Fact]
    public async Task Dispose_Goodbye_IsNoLostConnection()
    {
        await using var server = new ServerHarness();

        // Ten times: the server ends the stream of events before or after the client closes the connection.
        for (var i = 0; i < 10; i++)
        {
            await using var source = server.CreateSource();
            (await source.ReserveAsync(2 * MiB).DefaultTimeout()).Dispose();
        }

        server.Logger.Entries.Should().NotContain(entry => entry.Id == 2031);
    }

    [Fact]
    public async Task C2_TwoClients_NeverOverlap()
    {
        await using var server = new ServerHarness();
        await using var first = server.CreateSource();
        await using var second = server.CreateSource();
        using var a = await first.ReserveAsync(6 * MiB).DefaultTimeout();
        using var b = await second.ReserveAsync(6 * MiB).DefaultTimeout();

        Bytes(a).Fill(1);
        Bytes(b).Fill(2);

        Bytes(a).IndexOfAnyExcept((byte)1).Should().Be(-1);
        Bytes(b).IndexOfAnyExcept((byte)2).Should().Be(-1);
    }

    [Fact]
    public async Task C4_ServerHasNoRoom_IsAnErrorWithLimitAndRemedy_NeverOtherMemory()
    {
        await using var server = new ServerHarness(settings => settings with { CapacityBytes = 4 * MiB, TrimPatience = TimeSpan.Zero });
        await using var source = server.CreateSource(options: Options() with { AcquireTimeout = TimeSpan.FromMilliseconds(20) });
        using var all = await source.ReserveAsync(4 * MiB).DefaultTimeout();

        var error = (await source.Awaiting(s => s.ReserveAsync(2 * MiB).AsTask().DefaultTimeout()).Should().ThrowAsync<MemorySourceException>()).Which;

        error.Operation.Should().Contain(EndPoint.ToString());
        error.LimitBytes.Should().Be(4 * MiB);
        error.Message.Should().Contain("CapacityBytes");
        server.Statistics.LeasedBytes.Should().Be(4 * MiB);
        all.Dispose();
        await TestTimeouts.UntilAsync(() => server.Statistics.IdleBytes == 4 * MiB);
        (await source.ReserveAsync(4 * MiB).DefaultTimeout()).Dispose();
    }

    [Fact]
    public async Task C9_DisposedWhileARegionIsInUse_LeavesItMappedAndLeased()
    {
        await using var server = new ServerHarness();
        var source = server.CreateSource();
        var region = await source.ReserveAsync(2 * MiB).DefaultTimeout();
        Bytes(region).Fill(7);

        await source.DisposeAsync().AsTask().DefaultTimeout();
        await source.DisposeAsync().AsTask().DefaultTimeout();

        Bytes(region).IndexOfAnyExcept((byte)7).Should().Be(-1);
        server.Statistics.LeasedBytes.Should().Be(2 * MiB, "it is still in use");
        server.Logger.Entries.Should().ContainSingle(entry => entry.Id == 2041);
        region.Dispose();
        region.Invoking(r => r.Dispose()).Should().NotThrow();
        await source.Awaiting(s => s.ReserveAsync(1).AsTask()).Should().ThrowAsync<ObjectDisposedException>();
    }

    [Fact]
    public async Task Dispose_WithNothingInUse_EndsTheSession()
    {
        await using var server = new ServerHarness();
        var source = server.CreateSource();
        (await source.ReserveAsync(4 * MiB).DefaultTimeout()).Dispose();

        await source.DisposeAsync().AsTask().DefaultTimeout();

        server.Statistics.Sessions.Should().Be(0);
        await server.UntilEmptyAsync();
    }

    [Fact]
    public async Task Reserve_SeveralRegions_GrowOneLeaseAndGiveBackInAnyOrder()
    {
        await using var server = new ServerHarness();
        await using var source = server.CreateSource();
        var regions = new List<MemoryRegion>();
        for (var i = 0; i < 4; i++)
        {
            regions.Add(await source.ReserveAsync(6 * MiB).DefaultTimeout());
            Bytes(regions[i]).Fill((byte)i);
        }

        server.Statistics.Should().Match<Engine.EngineStatistics>(s => s.Leases == 1 && s.LeasedBytes == 24 * MiB);
        regions[1].Dispose();
        regions[3].Dispose();
        await TestTimeouts.UntilAsync(() => server.Statistics.LeasedBytes == 12 * MiB);

        Bytes(regions[0]).IndexOfAnyExcept((byte)0).Should().Be(-1);
        Bytes(regions[2]).IndexOfAnyExcept((byte)2).Should().Be(-1);
        using var again = await source.ReserveAsync(6 * MiB).DefaultTimeout();
        Bytes(again).IndexOfAnyExcept((byte)0).Should().Be(-1, "memory comes back zeroed");
        regions[0].Dispose();
        regions[2].Dispose();
    }

    [Fact]
    public async Task Reserve_MoreThanTheCapacity_IsRefusedWithoutAskingTheServer()
    {
        await using var server = new ServerHarness();
        await using var source = server.CreateSource(options: Options(capacityBytes: 4 * MiB));
        using var all = await source.ReserveAsync(3 * MiB).DefaultTimeout();

        var error = (await source.Awaiting(s => s.ReserveAsync(1).AsTask().DefaultTimeout()).Should().ThrowAsync<MemorySourceException>()).Which;

        error.LimitBytes.Should().Be(4 * MiB);
        error.Message.Should().Contain("CapacityBytes");
        server.Statistics.TotalLeases.Should().Be(1);
    }

    [Fact]
    public async Task Reserve_LeaseIsFull_TakesAnotherLease()
    {
        await using var server = new ServerHarness(settings => settings with { MaxLeaseBytes = 8 * MiB });
        await using var source = server.CreateSource();

        using var a = await source.ReserveAsync(8 * MiB).DefaultTimeout();
        using var b = await source.ReserveAsync(8 * MiB).DefaultTimeout();

        server.Statistics.Leases.Should().Be(2);
        await source.Awaiting(s => s.ReserveAsync(10 * MiB).AsTask().DefaultTimeout()).Should().ThrowAsync<MemorySourceException>();
        a.Dispose();
        await TestTimeouts.UntilAsync(() => server.Statistics.Leases == 1);
    }

    [Fact]
    public async Task Row03_MappedMemory_IsNeitherInheritedNorDumped()
    {
        await using var server = new ServerHarness();
        await using var source = server.CreateSource();
        using var region = await source.ReserveAsync(8 * MiB).DefaultTimeout();

        var flags = VmFlags(region.Address).ToList();

        flags.Should().NotBeEmpty();
        flags.Should().OnlyContain(line => line.Contains(" dc") && line.Contains(" dd"), "dc: not copied on fork; dd: not dumped");
    }

    [Fact]
    public async Task Row19_AFileThatIsNotSealed_IsRefusedAndGivenBack()
    {
        await using var server = new ServerHarness();
        server.Memory.NextSeals = 0;
        await using var source = server.CreateSource();

        var error = (await source.Awaiting(s => s.ReserveAsync(2 * MiB).AsTask().DefaultTimeout()).Should().ThrowAsync<PoolProtocolException>()).Which;

        error.Message.Should().Contain("sealed");
        await TestTimeouts.UntilAsync(() => server.Statistics.LeasedBytes == 0);
        server.Memory.NextSeals = MemfdSegmentSource.Seals;
        (await source.ReserveAsync(8 * MiB).DefaultTimeout()).Dispose();
    }

    [Fact]
    public void Row19_AFileOfAnotherLengthOrInode_IsRefused()
    {
        using var file = MemfdCalls.Create(2 * MiB, MemfdSegmentSource.Seals);
        SocketNative.TryGetStatus(file, out var status).Should().BeTrue();
        var (inode, length) = (status.Inode, status.LengthBytes);
        using var plain = File.OpenHandle(typeof(ServerMemorySourceTests).Assembly.Location);

        Verify(file, length, inode).Should().NotThrow();
        Verify(file, length + MiB, inode).Should().Throw<PoolProtocolException>();
        Verify(file, length, inode + 1).Should().Throw<PoolProtocolException>();
        Verify(plain, length, inode).Should().Throw<PoolProtocolException>();
        MemfdCalls.Truncate(file, 0).Should().Be(-1, "a sealed file cannot be cut off by anybody");
    }

    [Theory]
    [InlineData("/etc/passwd")]
    [InlineData("/proc/1/mem")]
    [InlineData("/proc/1/fd/../../../etc/passwd")]
    [InlineData("/proc/1/fd/1\n")]
    [InlineData("")]
    public void Row19_APathThatIsNoDescriptor_IsNotOpened(string path) =>
        FluentActions.Invoking(() => SegmentFile.Open(path, MiB, "x")).Should().Throw<PoolProtocolException>();

    [Fact]
    public async Task Row31_WhateverAClientWritesIntoItsMemory_ChangesNothingOnTheServer()
    {
        await using var server = new ServerHarness();
        await using var source = server.CreateSource();
        using var region = await source.ReserveAsync(8 * MiB).DefaultTimeout();
        using var end = new CancellationTokenSource();
        var scribble = Task.Run(() =>
        {
            for (var seed = 0; !end.IsCancellationRequested; seed++)
            {
                new Random(seed).NextBytes(Bytes(region)[..(int)MiB]);
            }
        });

        try
        {
            for (var i = 0; i < 50; i++)
            {
                (await source.ReserveAsync(2 * MiB).DefaultTimeout()).Dispose();
            }
        }
        finally
        {
            await end.CancelAsync();
            await scribble.DefaultTimeout();
        }

        await TestTimeouts.UntilAsync(() => server.Statistics is { LeasedBytes: 8 * MiB, PendingBytes: 0 });
        server.Engine.List().Should().ContainSingle().Which.LengthBytes.Should().Be(8 * MiB);
    }

    [Fact]
    public async Task Lazy_PinsInOrderInTheBackground_AndStopsWhenTheRegionIsReleased()
    {
        await using var server = new ServerHarness();
        var pinner = new FakePinner { Capabilities = PoolCapabilities.DeviceVisible };
        await using var source = server.CreateSource(pinner, Options(pinning: SegmentPinning.Lazy));
        var region = await source.ReserveAsync(8 * MiB).DefaultTimeout();

        region.Capabilities.Should().Be(source.Capabilities).And.Be(PoolCapabilities.Shared | PoolCapabilities.PageLocked);
        await TestTimeouts.UntilAsync(() => pinner.Pinned.Count == 4);
        region.Dispose();

        pinner.Pinned.Should().BeEmpty();
        for (var i = 0; i < 50; i++)
        {
            (await source.ReserveAsync(8 * MiB).DefaultTimeout()).Dispose();
            pinner.Pinned.Should().BeEmpty();
        }
    }

    [Fact]
    public async Task Lazy_ThePinnerSeesFirstUses_LeavesAllToItAtOnce()
    {
        await using var server = new ServerHarness();
        var pinner = new FakePinner { Capabilities = PoolCapabilities.DeviceVisible, PinsOnUse = true };
        await using var source = server.CreateSource(pinner, Options(pinning: SegmentPinning.Lazy));

        var region = await source.ReserveAsync(8 * MiB).DefaultTimeout();

        pinner.Pinned.Should().Equal(new Dictionary<nint, long> { [region.Address] = 8 * MiB });
        region.Capabilities.Should().Be(PoolCapabilities.Shared | PoolCapabilities.PageLocked | PoolCapabilities.DeviceVisible);
        region.Dispose();
        pinner.Pinned.Should().BeEmpty();
    }

    [Fact]
    public async Task Lazy_APinFails_LeavesTheMemoryUsableAndALogEntry()
    {
        await using var server = new ServerHarness();
        var pinner = new FakePinner { Capabilities = PoolCapabilities.DeviceVisible, FailingPins = { 2 } };
        await using var source = server.CreateSource(pinner, Options(pinning: SegmentPinning.Lazy));
        using var region = await source.ReserveAsync(8 * MiB).DefaultTimeout();

        await TestTimeouts.UntilAsync(() => server.Logger.Entries.Any(entry => entry.Id == 2037));

        Bytes(region).Fill(1);
        pinner.Pinned.Should().ContainSingle();
    }

    [Theory]
    [InlineData(SegmentPinning.None, PoolCapabilities.DeviceVisible)]
    [InlineData(SegmentPinning.Eager, PoolCapabilities.PageLocked)]
    public async Task Pinner_ThatIsNotWantedOrAddsNothing_IsNotAsked(SegmentPinning pinning, PoolCapabilities adds)
    {
        await using var server = new ServerHarness();
        var pinner = new FakePinner { Capabilities = adds };
        await using var source = server.CreateSource(pinner, Options(pinning: pinning));

        using var region = await source.ReserveAsync(2 * MiB).DefaultTimeout();

        pinner.Pinned.Should().BeEmpty();
        region.Capabilities.Should().Be(PoolCapabilities.Shared | PoolCapabilities.PageLocked);
    }

    [Fact]
    public async Task Reserve_Cancelled_LeavesNothingOnTheServer()
    {
        await using var server = new ServerHarness();
        var gate = new TaskCompletionSource();
        server.Memory.Gate = gate.Task;
        await using var source = server.CreateSource();
        using var cancellation = new CancellationTokenSource();
        var reserve = source.ReserveAsync(8 * MiB, null, cancellation.Token).AsTask();
        await TestTimeouts.UntilAsync(() => server.Statistics.PendingBytes > 0);

        await cancellation.CancelAsync();

        await reserve.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        gate.SetResult();
        await server.UntilEmptyAsync();
        (await source.ReserveAsync(32 * MiB).DefaultTimeout()).Dispose();
    }

    [Fact]
    public async Task Attach_ByTheToken_IsTheSameMemory_AndOutlivesTheFirstHolder()
    {
        await using var server = new ServerHarness();
        var owner = server.CreateSource();
        await using var reader = server.CreateSource();
        var written = await owner.ReserveAsync(6 * MiB).DefaultTimeout();
        Bytes(written).Fill(5);

        using var read = await reader.AttachAsync(TokenOf(written), CancellationToken.None).DefaultTimeout();

        read.LengthBytes.Should().Be(6 * MiB);
        Bytes(read).IndexOfAnyExcept((byte)5).Should().Be(-1);
        Bytes(read)[17] = 6;
        Bytes(written)[17].Should().Be(6);
        written.Dispose();
        await owner.DisposeAsync();
        Bytes(read)[17].Should().Be(6);
        read.Dispose();
        await server.UntilEmptyAsync();
    }

    [Fact]
    public async Task Attach_ByAnotherUserOrAWrongToken_IsRefused()
    {
        await using var server = new ServerHarness();
        server.Disguise = peer => peer with { IsThisProcess = false, ProcessId = 1 };
        await using var owner = server.CreateSource();
        using var region = await owner.ReserveAsync(2 * MiB).DefaultTimeout();
        server.Disguise = peer => peer with { IsThisProcess = false, ProcessId = 2, UserId = null };
        await using var stranger = server.CreateSource();

        foreach (var token in new[] { TokenOf(region), Token.Create() })
        {
            (await stranger.Awaiting(s => s.AttachAsync(token, CancellationToken.None).DefaultTimeout()).Should().ThrowAsync<PoolRequestRejectedException>())
                .Which.Code.Should().Be((int)PoolFaultCode.NotFound);
        }

        await owner.Awaiting(s => s.AttachAsync(TokenOf(region), CancellationToken.None)).Should().ThrowAsync<InvalidOperationException>();
    }

    [Fact]
    public async Task Paths_WhereDescriptorsDoNotTravel_LeadToTheSameMemory()
    {
        await using var server = new ServerHarness();
        server.Disguise = peer => peer with { PassesFiles = false };
        await using var source = server.CreateSource();
        using var region = await source.ReserveAsync(8 * MiB).DefaultTimeout();
        Bytes(region)[0] = 9;

        var segment = server.Engine.Inspect(server.Engine.List().Single().Id).Segments[0].Segment;

        ByteAt(segment.Address).Should().Be(9);
    }

    private static Action Verify(SafeFileHandle file, long lengthBytes, ulong inode) => () => SegmentFile.Verify(file, lengthBytes, inode, "x");

    private static unsafe byte ByteAt(nint address) => *(byte*)address;

    private static IEnumerable<string> VmFlags(nint address)
    {
        var isInside = false;
        foreach (var line in File.ReadLines("/proc/self/smaps"))
        {
            if (line.StartsWith(address.ToString("x"), StringComparison.Ordinal))
            {
                isInside = true;
            }
            else if (isInside && line.StartsWith("VmFlags:", StringComparison.Ordinal))
            {
                yield return line;
                yield break;
            }
        }
    }
}
