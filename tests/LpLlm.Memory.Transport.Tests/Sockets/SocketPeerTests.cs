using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using LpLlm.Memory.TestKit;

namespace LpLlm.Memory.Transport.Sockets;

public class SocketPeerTests
{
    [Fact]
    public void Identify_ThisProcess_IsKnownAndAlive()
    {
        var (server, client) = Connect();
        using var _ = client;
        using var accepted = server;

        var peer = SocketPeer.Identify(accepted, passesFiles: true);

        peer.ProcessId.Should().Be(Environment.ProcessId);
        peer.UserId.Should().Be(SocketNative.GetUserId());
        peer.GroupId.Should().Be(SocketNative.GetGroupId());
        peer.IsThisProcess.Should().BeTrue();
        peer.PassesFiles.Should().BeTrue();
        peer.Exited!.IsCompleted.Should().BeFalse();
        peer.Description.Should().Be($"pid {Environment.ProcessId} (uid {peer.UserId})");
    }

    [Fact]
    public async Task Watch_KernelThatGivesNoDescriptorOfThePeer_FindsTheProcessByItsNumber()
    {
        using var process = Process.Start("sleep", "60"); // before Linux 6.5

        var exited = SocketPeer.Watch(process.Id, static () => null);

        exited!.IsCompleted.Should().BeFalse();
        process.Kill();
        await exited.DefaultTimeout();
    }

    [Fact]
    public async Task Watch_ProcessThatIsGone_IsDoneAtOnce()
    {
        using var process = Process.Start("sleep", "60");
        process.Kill();
        await process.WaitForExitAsync().DefaultTimeout();

        SocketPeer.Watch(process.Id, static () => null)!.IsCompleted.Should().BeTrue();
    }

    /// <summary>It dies while it is looked at: the number has led to another process, or to none, since the socket named it.</summary>
    [Fact]
    public async Task Row01_Watch_ProcessThatDiesMeanwhile_IsDoneAndNotUnknown()
    {
        using var process = Process.Start("sleep", "60");
        var file = SocketNative.OpenProcess(process.Id);

        var exited = SocketPeer.Watch(process.Id, () =>
        {
            process.Kill();
            process.WaitForExit();
            return file;
        });

        await exited!.DefaultTimeout();
    }

    [Fact]
    public void Identify_ManyConnectionsOfOneProcess_TakeOneDescriptor()
    {
        var peers = new List<PoolPeer>();
        for (var i = 0; i < 50; i++)
        {
            var (server, client) = Connect();
            using var _ = client;
            using var accepted = server;
            peers.Add(SocketPeer.Identify(accepted, passesFiles: true));
        }

        peers.Select(peer => peer.Exited).Distinct().Should().HaveCount(1);
    }

    [Fact]
    public async Task Identify_OtherProcess_ExitedCompletesWithIt()
    {
        var path = Path.Combine(Path.GetTempPath(), $"pipes-peer-{Guid.NewGuid():N}");
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        using var process = Process.Start("python3", ["-c", "import socket,time,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); time.sleep(60)", path]);
        using var accepted = await listener.AcceptAsync().DefaultTimeout();

        var peer = SocketPeer.Identify(accepted, passesFiles: true);

        peer.ProcessId.Should().Be(process.Id);
        peer.IsThisProcess.Should().BeFalse();
        peer.Exited!.IsCompleted.Should().BeFalse();
        process.Kill();
        await peer.Exited.DefaultTimeout();
        SocketPeer.Identify(accepted, passesFiles: true).Exited!.IsCompleted.Should().BeTrue("the process is gone, though its connection is still here");
    }

    [Fact]
    public async Task Row24_TcpPeer_HasNoIdentity()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(listener.LocalEndPoint!).DefaultTimeout();
        using var accepted = await listener.AcceptAsync().DefaultTimeout();

        var peer = SocketPeer.Identify(accepted, passesFiles: false);

        peer.UserId.Should().BeNull();
        peer.ProcessId.Should().BeNull();
        peer.Exited.Should().BeNull();
        peer.IsThisProcess.Should().BeFalse();
        peer.Description.Should().Be(client.LocalEndPoint!.ToString());
    }

    [Fact]
    public void Row24_CredentialsOfNobody_AreNoIdentityAndNotRoot()
    {
        var peer = SocketPeer.Describe(Credentials(0, uint.MaxValue, uint.MaxValue), passesFiles: true, _ => throw new InvalidOperationException());

        peer.UserId.Should().BeNull();
        peer.ProcessId.Should().BeNull();
        peer.Exited.Should().BeNull();
    }

    [Fact]
    public void Row24_CredentialsOfAForeignNamespace_HaveAUserButNoProcess()
    {
        var peer = SocketPeer.Describe(Credentials(0, 1000, 100), passesFiles: true, _ => throw new InvalidOperationException());

        peer.UserId.Should().Be(1000);
        peer.GroupId.Should().Be(100);
        peer.ProcessId.Should().BeNull();
        peer.Exited.Should().BeNull();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    [InlineData(11)]
    [InlineData(16)]
    public void Row24_CredentialsOfAnotherLength_AreNoIdentity(int length) =>
        SocketPeer.Describe(new byte[length], passesFiles: true, _ => throw new InvalidOperationException()).UserId.Should().BeNull();

    [Fact]
    public void Row18_SamePidTwice_AreTwoWatches()
    {
        var exits = new Queue<Task>([new TaskCompletionSource().Task, new TaskCompletionSource().Task]);

        var first = SocketPeer.Describe(Credentials(4711, 1000, 100), passesFiles: true, _ => exits.Dequeue());
        var second = SocketPeer.Describe(Credentials(4711, 1000, 100), passesFiles: true, _ => exits.Dequeue());

        first.ProcessId.Should().Be(4711);
        first.Exited.Should().NotBeSameAs(second.Exited);
    }

    [Fact]
    public void ReadStartTime_TellsProcessesApart()
    {
        using var process = Process.Start("sleep", "60");
        try
        {
            SocketPeer.ReadStartTime(process.Id).Should().BeGreaterThan(0).And.Be(SocketPeer.ReadStartTime(process.Id));
            SocketPeer.ReadStartTime(process.Id).Should().BeGreaterThan(SocketPeer.ReadStartTime(1)!.Value);
            SocketPeer.ReadStartTime(int.MaxValue).Should().BeNull();
        }
        finally
        {
            process.Kill();
        }
    }

    private static byte[] Credentials(int processId, uint user, uint group)
    {
        var bytes = new byte[12];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, processId);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), user);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), group);
        return bytes;
    }

    private static (Socket Server, Socket Client) Connect()
    {
        var path = Path.Combine(Path.GetTempPath(), $"pipes-peer-{Guid.NewGuid():N}");
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        client.Connect(new UnixDomainSocketEndPoint(path));
        return (listener.Accept(), client);
    }
}
