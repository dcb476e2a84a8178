using System.Net.Sockets;
using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Pipes.Unix;
using LpLlm.Memory.Transport.Server;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>What all connections of a listener share, on real sockets: clients of different processes, as the kernel would name them.</summary>
public sealed class PipeBudgetTests : IAsyncLifetime, IDisposable
{
    private static readonly PoolTransportLimits Limits = new() { ReadTimeout = TimeSpan.FromSeconds(30) };

    private readonly SocketDirectory _directory = new();
    private readonly EchoServer _server = new();
    private readonly PeerBudget _files = new(300);
    private readonly PeerBudget _requests = new(10_000);
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly List<RawClient> _clients = [];
    private readonly List<Task> _served = [];

    public Task InitializeAsync()
    {
        _listener.Bind(new UnixDomainSocketEndPoint(_directory.SocketFile));
        _listener.Listen();
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        _clients.ForEach(client => client.Dispose());
        await Task.WhenAll(_served).DefaultTimeout();
    }

    public void Dispose()
    {
        _listener.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task Row29_TwoClientsHoldAllDescriptors_AThirdsMessageIsTakenAllTheSame()
    {
        var name = Path.Combine("/dev/shm", Path.GetRandomFileName());
        using var file = File.OpenHandle(name, FileMode.Create, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, FileOptions.DeleteOnClose);
        var (first, second, third) = (await GreetAsync(1), await GreetAsync(2), await GreetAsync(3));
        first.Send(RawClient.Frame(1, 100, files: 200)[..20], Repeat(file, 149));
        second.Send(RawClient.Frame(1, 100, files: 200)[..20], Repeat(file, 151));
        await TestTimeouts.UntilAsync(() => CountOpen(name) == 1 + 300);

        third.Send(RawClient.Frame(7, 0, files: 100), Repeat(file, 100));

        (await ReadFrameAsync(third)).Should().Be((FrameKind.Reply, 7u));
        await second.EndAsync(); // it held most
        await TestTimeouts.UntilAsync(() => CountOpen(name) == 1 + 149);
        first.Socket.Poll(0, SelectMode.SelectRead).Should().BeFalse("it goes on");
    }

    [Fact]
    public async Task Row29_MoreDescriptorsThanThereIsRoomFor_EndTheirOwnConnection()
    {
        var name = Path.Combine("/dev/shm", Path.GetRandomFileName());
        using var file = File.OpenHandle(name, FileMode.Create, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, FileOptions.DeleteOnClose);
        var client = await GreetAsync(1);

        client.Send(RawClient.Frame(1, 100, files: 400)[..20], Repeat(file, 200));
        client.Send([0], Repeat(file, 101));

        await client.EndAsync();
        await TestTimeouts.UntilAsync(() => CountOpen(name) == 1);
    }

    [Fact]
    public async Task Request_PastWhatAllMayKeepWaiting_IsRefusedUntilAnswersMakeRoom()
    {
        var client = await GreetAsync(1);
        var watch = RawClient.Frame(1, 6000);
        watch[9] = (byte)PoolMethod.Watch; // lasts until it is cancelled
        await client.SendAsync(watch);

        await client.SendAsync(RawClient.Frame(2, 6000));

        (await ReadFrameAsync(client)).Should().Be((FrameKind.Fault, 2u));
        await client.SendAsync(RawClient.Frame(1, 0, FrameKind.Cancel));
        (await ReadFrameAsync(client)).Should().Be((FrameKind.Fault, 1u));
        await TestTimeouts.UntilAsync(() => _requests.Held == 0);
        await client.SendAsync(RawClient.Frame(3, 6000));
        (await ReadFrameAsync(client)).Should().Be((FrameKind.Reply, 3u));
    }

    [Fact]
    public async Task Request_WhileOthersHoldAll_IsServedAndTheLargestGoes()
    {
        var (first, second, third) = (await GreetAsync(1), await GreetAsync(2), await GreetAsync(3));
        await first.SendAsync(RawClient.Frame(1, 4900)[..50]); // never whole: counted by what its header says
        await second.SendAsync(RawClient.Frame(1, 5000)[..50]);
        await TestTimeouts.UntilAsync(() => _requests.Held == 9_900);

        await third.SendAsync(RawClient.Frame(1, 2000));

        (await ReadFrameAsync(third)).Should().Be((FrameKind.Reply, 1u));
        await second.EndAsync();
        first.Socket.Poll(0, SelectMode.SelectRead).Should().BeFalse("it goes on");
    }

    private static SafeFileHandle[] Repeat(SafeFileHandle file, int count) => [.. Enumerable.Repeat(file, count)];

    private static int CountOpen(string name) => Directory.EnumerateFiles("/proc/self/fd").Count(file =>
    {
        try
        {
            return File.ResolveLinkTarget(file, returnFinalTarget: false)?.FullName == name;
        }
        catch (FileNotFoundException)
        {
            return false; // closed since
        }
    });

    private static async Task<(FrameKind Kind, uint Call)> ReadFrameAsync(RawClient client)
    {
        var header = FrameHeader.Read(await client.ReceiveAsync(FrameHeader.LengthBytes));
        await client.ReceiveAsync((int)header.PayloadBytes);
        return (header.Kind, header.Call);
    }

    private static PoolPeer Peer(int process) => new() { Description = $"pid {process}", ProcessId = process, UserId = 1, PassesFiles = true };

    private async Task<RawClient> GreetAsync(int process)
    {
        var connecting = RawClient.ConnectAsync(_directory.SocketFile);
        var socket = await _listener.AcceptAsync().DefaultTimeout();
        _served.Add(ServeAsync(socket, Peer(process)));
        var client = await connecting;
        _clients.Add(client);
        await client.SendAsync(Preface.Create());
        await client.ReceiveAsync(Preface.LengthBytes);
        return client;
    }

    private async Task ServeAsync(Socket socket, PoolPeer peer)
    {
        using (socket)
        {
            await using var served = new PipeServerConnection(
                new SocketLink(socket, Limits.ReadTimeout, TimeProvider.System), peer, _server.Accept(peer), _files, _requests, Limits, TimeProvider.System, NullLogger.Instance);
            await served.RunAsync();
        }
    }
}
