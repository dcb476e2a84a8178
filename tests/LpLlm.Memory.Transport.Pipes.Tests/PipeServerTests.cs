using System.Net.Sockets;
using System.Text;
using LpLlm.Memory.TestKit;

namespace LpLlm.Memory.Transport.Pipes;

public sealed class PipeServerTests : IDisposable
{
    private static readonly PoolTransportLimits Limits = new() { MaxMessageBytes = 64 << 10 };

    private readonly SocketDirectory _directory = new();
    private readonly EchoServer _server = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Row06_FramesByteByByteOverARealSocket_AreAnswered()
    {
        await using var listener = await BindAsync(Limits);
        using var client = await RawClient.ConnectAsync(_directory.SocketFile);

        foreach (var b in Preface.Create().Concat(RawClient.Frame(1, 5)).Concat(RawClient.Frame(2, 0)))
        {
            await client.SendAsync([b]);
        }

        await client.ReceiveAsync(Preface.LengthBytes);
        var replies = await client.ReceiveAsync((2 * FrameHeader.LengthBytes) + 5);
        FrameHeader.Read(replies).Should().Be(new FrameHeader(5, 1, FrameKind.Reply, PoolMethod.Renew, 0));
        FrameHeader.Read(replies.AsSpan(FrameHeader.LengthBytes + 5)).Call.Should().Be(2);
    }

    [Fact]
    public async Task Row07_Slowloris_IsClosedWhileIdleAndHealthyClientsGoOn()
    {
        await using var listener = await BindAsync(Limits with { ReadTimeout = TimeSpan.FromMilliseconds(300) });
        using var idle = await RawClient.GreetAsync(_directory.SocketFile);
        await using var healthy = await ConnectAsync();
        var slow = new List<RawClient>
        {
            await RawClient.ConnectAsync(_directory.SocketFile),
            await RawClient.ConnectAsync(_directory.SocketFile),
            await RawClient.GreetAsync(_directory.SocketFile),
            await RawClient.GreetAsync(_directory.SocketFile),
            await RawClient.GreetAsync(_directory.SocketFile),
            await RawClient.GreetAsync(_directory.SocketFile),
        };
        await idle.SendAsync(RawClient.Frame(7, 3));
        await idle.ReceiveAsync(FrameHeader.LengthBytes + 3);
        await slow[1].SendAsync(Preface.Create()[..3]);
        await slow[2].SendAsync(RawClient.Frame(1, 100)[..1]);
        await slow[3].SendAsync(RawClient.Frame(1, 100)[..50]);
        await slow[4].SendAsync([.. RawClient.Frame(1, 100), .. RawClient.Frame(2, 100)[..50]]);
        await slow[5].SendAsync(RawClient.Frame(1, (64 << 10) + 1)[..50]);

        foreach (var client in slow)
        {
            await client.EndAsync();
            client.Dispose();
        }

        await EchoesAsync(healthy);
        await idle.SendAsync(RawClient.Frame(1, 3));
        await idle.ReceiveAsync(FrameHeader.LengthBytes + 3);
    }

    [Fact]
    public async Task Row07_OneByteNowAndThen_DoesNotProlongAMessage()
    {
        await using var listener = await BindAsync(Limits with { ReadTimeout = TimeSpan.FromMilliseconds(300) });
        using var client = await RawClient.GreetAsync(_directory.SocketFile);
        var end = client.EndAsync();

        var sent = 0;
        while (!end.IsCompleted)
        {
            try
            {
                await client.SendAsync([0]);
                sent++;
            }
            catch (SocketException)
            {
                break;
            }

            sent.Should().BeLessThan(3000, "the message has 12 + 65,536 bytes and 300 ms");
            await Task.Delay(10);
        }

        await end.DefaultTimeout();
        _server.Closed.Should().BeLessThanOrEqualTo(1);
    }

    [Fact]
    public async Task Row08_ClientThatNeverReads_IsDisconnectedAndTheServersMemoryIsBounded()
    {
        await using var listener = await BindAsync(Limits with { MaxUnsentBytes = 256 << 10 });
        using var client = await RawClient.GreetAsync(_directory.SocketFile);
        var frame = RawClient.Frame(1, 4096);
        var sent = 0L;

        try
        {
            while (sent < 1L << 30)
            {
                await client.SendAsync(frame);
                sent += frame.Length;
            }
        }
        catch (SocketException)
        {
            // It was disconnected.
        }

        sent.Should().BeLessThan(16 << 20, "256 KiB may wait, and the kernel's buffers take a few hundred more");
        await TestTimeouts.UntilAsync(() => _server.Closed == 1);
    }

    [Fact]
    public async Task Row10_SizeFieldsAtTheirBounds_AreAnsweredOrEndTheConnection()
    {
        await using var listener = await BindAsync(Limits);
        var within = new uint[] { 0, 1, 64 << 10 };
        var refused = new uint[] { (64 << 10) + 1, 100_000 };
        foreach (var length in within.Concat(refused))
        {
            using var client = await RawClient.GreetAsync(_directory.SocketFile);
            await client.SendAsync([.. RawClient.Frame(7, (int)length), .. RawClient.Frame(8, 0)]);
            var reply = FrameHeader.Read(await client.ReceiveAsync(FrameHeader.LengthBytes));
            reply.Should().Match<FrameHeader>(h => h.Call == 7 && h.Kind == (refused.Contains(length) ? FrameKind.Fault : FrameKind.Reply));
            await client.ReceiveAsync((int)reply.PayloadBytes);
            FrameHeader.Read(await client.ReceiveAsync(FrameHeader.LengthBytes)).Call.Should().Be(8);
        }

        foreach (var length in new uint[] { (64u << 20) + 1, int.MaxValue, 1u << 31, uint.MaxValue })
        {
            using var client = await RawClient.GreetAsync(_directory.SocketFile);
            var header = new byte[FrameHeader.LengthBytes];
            new FrameHeader(length, 7, FrameKind.Request, PoolMethod.Renew, 0).Write(header);
            await client.SendAsync(header);
            await client.EndAsync();
        }
    }

    [Fact]
    public async Task Row28_AThousandIdleConnections_CostLittleAndServeOn()
    {
        await using var listener = await BindAsync(Limits);
        await using var active = await ConnectAsync();
        await EchoesAsync(active);
        var clients = new List<RawClient>(1000);
        var before = GC.GetTotalMemory(forceFullCollection: true);

        for (var i = 0; i < 1000; i++)
        {
            clients.Add(await RawClient.GreetAsync(_directory.SocketFile));
        }

        // The client's ends are of this process too, with their buffer of 64 KiB; they count out.
        var bytes = (GC.GetTotalMemory(forceFullCollection: true) - before - (1000L * (64 << 10))) / 1000;
        bytes.Should().BeLessThan(10_000);
        await EchoesAsync(active);
        clients.ForEach(client => client.Dispose());
        await TestTimeouts.UntilAsync(() => _server.Closed == 1000);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(50)]
    [InlineData(253)]
    public async Task Row29_DescriptorsThatNobodyAskedFor_AreClosedAndEndTheConnection(int count)
    {
        await using var listener = await BindAsync(Limits);
        using var file = OpenFile(out var name);
        var files = Enumerable.Repeat(file, count).ToArray();

        using var inRequest = await RawClient.GreetAsync(_directory.SocketFile);
        inRequest.Send(RawClient.Frame(1, 10), files);
        await inRequest.EndAsync();
        using var inPreface = await RawClient.ConnectAsync(_directory.SocketFile);
        inPreface.Send(Preface.Create(), files);
        await inPreface.SendAsync(RawClient.Frame(1, 0));
        await inPreface.EndAsync();
        using var inCancel = await RawClient.GreetAsync(_directory.SocketFile);
        inCancel.Send(RawClient.Frame(1, 0, FrameKind.Cancel), files);
        await inCancel.EndAsync();

        await TestTimeouts.UntilAsync(() => CountOpen(name) == 1);
        await EchoesAsync(await ConnectAsync());
    }

    [Fact]
    public async Task Row29_AnnouncedDescriptorsOfAMessageThatNeverEnds_AreClosed()
    {
        await using var listener = await BindAsync(Limits with { ReadTimeout = TimeSpan.FromMilliseconds(300) });
        using var file = OpenFile(out var name);
        using var client = await RawClient.GreetAsync(_directory.SocketFile);
        var frame = RawClient.Frame(1, 0, files: 4096);

        client.Send(frame[..FrameHeader.LengthBytes], [.. Enumerable.Repeat(file, 253)]);
        client.Send([0], [.. Enumerable.Repeat(file, 253)]);

        await client.EndAsync();
        await TestTimeouts.UntilAsync(() => CountOpen(name) == 1);
    }

    [Fact]
    public async Task Row29_MoreDescriptorsOnAnAnnouncedFrame_EndTheConnection()
    {
        await using var listener = await BindAsync(Limits);
        using var file = OpenFile(out var name);
        using var client = await RawClient.GreetAsync(_directory.SocketFile);

        client.Send(RawClient.Frame(1, 100, files: 2)[..50], file, file, file);

        await client.EndAsync();
        await TestTimeouts.UntilAsync(() => CountOpen(name) == 1);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Row30_GarbageOverARealSocket_EndsItsConnectionOnly(int seed)
    {
        var random = new Random(seed);
        await using var listener = await BindAsync(Limits);
        await using var healthy = await ConnectAsync();
        for (var round = 0; round < 100; round++)
        {
            byte[] valid = [.. Preface.Create(), .. RawClient.Frame(1, 20), .. RawClient.Frame(2, 0), .. RawClient.Frame(2, 0, FrameKind.Cancel), .. RawClient.Frame(3, 300)];
            var bytes = (round % 3) switch
            {
                0 => new byte[random.Next(1, 2000)],
                1 => Encoding.ASCII.GetBytes("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                _ => valid,
            };
            if (round % 3 == 0)
            {
                random.NextBytes(bytes);
            }

            for (var flips = round % 3 == 2 ? random.Next(1, 5) : 0; flips > 0; flips--)
            {
                bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
            }

            using var client = await RawClient.ConnectAsync(_directory.SocketFile);
            try
            {
                await client.SendAsync(bytes);
                client.Socket.Shutdown(SocketShutdown.Send);
            }
            catch (SocketException)
            {
                // It was closed at the first wrong byte.
            }

            await client.EndAsync();
        }

        await EchoesAsync(healthy);
        await TestTimeouts.UntilAsync(() => _server.Closed == _server.Accepted - 1);
    }

    [Fact]
    public async Task Row32_ClientsStuckInTheMiddle_DoNotHoldUpOthers()
    {
        await using var listener = await BindAsync(Limits with { ReadTimeout = TimeSpan.FromMinutes(5) });
        var stuck = new List<RawClient>();
        for (var i = 0; i < 20; i++)
        {
            stuck.Add(await RawClient.GreetAsync(_directory.SocketFile));
            await stuck[^1].SendAsync(i % 2 == 0 ? RawClient.Frame(1, 60_000)[..30_000] : [.. Enumerable.Range(0, 30).SelectMany(call => RawClient.Frame((uint)call, 9000))]);
        }

        await using var healthy = await ConnectAsync();
        for (var i = 0; i < 200; i++)
        {
            await EchoesAsync(healthy);
        }

        // And they go on where they stopped.
        await stuck[0].SendAsync(RawClient.Frame(1, 60_000)[30_000..]);
        await stuck[0].ReceiveAsync(FrameHeader.LengthBytes + 60_000);
        await stuck[1].ReceiveAsync(30 * (FrameHeader.LengthBytes + 9000));
        stuck.ForEach(client => client.Dispose());
    }

    [Fact]
    public async Task Row32_ConnectionThatIsBusyFromItsStart_DoesNotHoldUpTheNext()
    {
        using var release = new ManualResetEventSlim();
        _server.OnAccept = () =>
        {
            if (_server.Accepted == 1)
            {
                release.Wait(TimeSpan.FromMinutes(1));
            }
        };
        await using var listener = await BindAsync(Limits);
        using var first = await RawClient.ConnectAsync(_directory.SocketFile);
        await TestTimeouts.UntilAsync(() => _server.Accepted == 1);
        try
        {
            await using var second = await ConnectAsync();
            await EchoesAsync(second);
        }
        finally
        {
            release.Set();
        }
    }

    [Fact]
    public async Task Row7_ClientThatRequestsNothing_IsDisconnected()
    {
        await using var listener = await BindAsync(Limits with { ReadTimeout = TimeSpan.FromMilliseconds(500) });
        using var client = await RawClient.GreetAsync(_directory.SocketFile);
        await client.SendAsync(RawClient.Frame(1, 0, FrameKind.Cancel));

        await client.EndAsync();

        await TestTimeouts.UntilAsync(() => _server.Closed == 1);
    }

    [Fact]
    public async Task Row8_DescriptorsThatCannotLeave_EndTheConnection()
    {
        using var file = OpenFile(out _);
        _server.OnReply = request => new PoolMessage(request.Payload, file);
        await using var listener = await BindAsync(Limits with { ReadTimeout = TimeSpan.FromSeconds(1) });
        using var client = await RawClient.GreetAsync(_directory.SocketFile);

        // 64 KiB more than the kernel's buffer of about 200 KiB, and less than MaxUnsentBytes: of these the client never reads a byte.
        for (var i = 0u; i < 20; i++)
        {
            await client.SendAsync(RawClient.Frame(i + 1, 32 << 10));
        }

        await TestTimeouts.UntilAsync(() => _server.Closed == 1);
    }

    [Fact]
    public void UserConnections_OfAnotherUser_AreAQuarterAtMost()
    {
        var sut = new Sockets.UserConnections(maxConnections: 8, ownUserId: 1000);
        var (root, own, other) = (Peer(0), Peer(1000), Peer(1001));
        for (var i = 0; i < 20; i++)
        {
            sut.Enter(root);
            sut.Enter(own);
            sut.Enter(new PoolPeer { Description = "far away" });
        }

        sut.Enter(other);
        sut.Enter(other);
        sut.Invoking(s => s.Enter(other)).Should().Throw<PoolFaultException>().Which.Code.Should().Be(PoolFaultCode.ResourceExhausted);
        sut.Enter(Peer(1002));
        sut.Leave(other);
        sut.Enter(other);

        static PoolPeer Peer(uint user) => new() { Description = "x", UserId = user };
    }

    [Fact]
    public void DescriptorHeadroom_OfTwoListeners_IsSharedAndGivenBack()
    {
        using var first = Sockets.DescriptorHeadroom.Take(int.MaxValue);
        using (var second = Sockets.DescriptorHeadroom.Take(int.MaxValue))
        {
            first.Connections.Should().BeLessThan(int.MaxValue).And.BeGreaterThan(second.Connections);
            second.Free.Should().BeLessThanOrEqualTo(first.Free - (2 * first.Connections) + 100, "others open and close files meanwhile");
        }

        Sockets.DescriptorHeadroom.Take(1).Dispose();
    }

    [Fact]
    public async Task Cancellations_CountForTheRate()
    {
        await using var listener = await BindAsync(Limits with { MaxRequestsPerSecond = 100 });
        using var client = await RawClient.GreetAsync(_directory.SocketFile);
        var started = TimeProvider.System.GetTimestamp();
        for (var i = 0u; i < 150; i++)
        {
            await client.SendAsync(RawClient.Frame(i + 1, 0, FrameKind.Cancel));
        }

        await client.SendAsync(RawClient.Frame(1000, 3));

        await client.ReceiveAsync(FrameHeader.LengthBytes + 3);
        TimeProvider.System.GetElapsedTime(started).Should().BeGreaterThan(TimeSpan.FromSeconds(0.4), "a burst of 100 is free, the next 50 take 10 ms each");
    }

    [Fact]
    public async Task SameCallTwice_EndsTheConnection()
    {
        await using var listener = await BindAsync(Limits);
        using var client = await RawClient.GreetAsync(_directory.SocketFile);
        var watch = RawClient.Frame(1, 0);
        watch[9] = (byte)PoolMethod.Watch;

        await client.SendAsync([.. watch, .. watch]);

        await client.EndAsync();
    }

    [Fact]
    public async Task UnknownMethod_IsUnimplementedAndTheConnectionLives()
    {
        await using var listener = await BindAsync(Limits);
        using var client = await RawClient.GreetAsync(_directory.SocketFile);
        var unknown = RawClient.Frame(1, 10);
        unknown[9] = 200;

        await client.SendAsync([.. unknown, .. RawClient.Frame(2, 0)]);

        var header = FrameHeader.Read(await client.ReceiveAsync(FrameHeader.LengthBytes));
        FaultPayload.Decode(await client.ReceiveAsync((int)header.PayloadBytes)).Code.Should().Be(PoolFaultCode.Unimplemented);
        FrameHeader.Read(await client.ReceiveAsync(FrameHeader.LengthBytes)).Call.Should().Be(2);
    }

    private static FileStream OpenStream(out string name)
    {
        name = Path.Combine("/dev/shm", Path.GetRandomFileName());
        return new FileStream(name, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete, 1, FileOptions.DeleteOnClose);
    }

    private static Microsoft.Win32.SafeHandles.SafeFileHandle OpenFile(out string name) => OpenStream(out name).SafeFileHandle;

    private static int CountOpen(string name) =>
        new DirectoryInfo("/proc/self/fd").EnumerateFileSystemInfos().Count(link => link.LinkTarget?.StartsWith(name, StringComparison.Ordinal) == true);

    private static async Task EchoesAsync(PoolChannel channel)
    {
        using var reply = await channel.SendAsync(PoolMethod.Renew, new PoolMessage("echo"u8.ToArray()), default).DefaultTimeout();
        reply.Payload.Length.Should().Be(4);
    }

    private async Task<PoolListener> BindAsync(PoolTransportLimits limits) =>
        await new PipeTransport(limits).BindAsync(_directory.EndPoint, _server, default).DefaultTimeout();

    private async Task<PoolChannel> ConnectAsync() => await new PipeTransport(Limits).ConnectAsync(_directory.EndPoint, default).DefaultTimeout();
}
