using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Sockets;

namespace LpLlm.Memory.Transport.Pipes;

[SupportedOSPlatform("linux")]
public sealed partial class SocketFileTests : IDisposable
{
    private readonly SocketDirectory _directory = new();
    private readonly PipeTransport _transport = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Row16_StaleSocketFile_IsReplaced()
    {
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(new UnixDomainSocketEndPoint(_directory.SocketFile + "x"));
            File.Move(_directory.SocketFile + "x", _directory.SocketFile);
        }

        File.Exists(_directory.SocketFile).Should().BeTrue();
        await _transport.Awaiting(t => t.ConnectAsync(_directory.EndPoint, default).DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();

        await using var listener = await BindAsync();

        await ConnectsAsync();
    }

    [Fact]
    public async Task Row16_SecondServer_IsRefusedByTheFirstsProcessNumber()
    {
        await using var first = await BindAsync();

        (await this.Awaiting(_ => BindAsync()).Should().ThrowAsync<InvalidOperationException>())
            .WithMessage($"*process {Environment.ProcessId}*{_directory.SocketFile}*");

        await ConnectsAsync();
    }

    [Fact]
    public async Task Row16_ServerThatStoppedAccepting_StillHoldsThePath()
    {
        var first = await BindAsync();
        await first.StopAcceptingAsync();
        File.Exists(_directory.SocketFile).Should().BeFalse();

        await this.Awaiting(_ => BindAsync()).Should().ThrowAsync<InvalidOperationException>();

        await first.DisposeAsync();
        await using var second = await BindAsync();
        await ConnectsAsync();
    }

    [Fact]
    public async Task Row17_OldServersEnd_DoesNotDeleteTheNewOnesSocket()
    {
        var first = await BindAsync();
        File.Delete(_directory.SocketFile);
        File.Delete(_directory.SocketFile + ".lock");
        await using var second = await BindAsync();

        await first.DisposeAsync();

        await ConnectsAsync();
        await second.DisposeAsync();
        File.Exists(_directory.SocketFile).Should().BeFalse();
    }

    [Fact]
    public async Task BindAsync_MakesASocketForItsUserOnly()
    {
        await using var listener = await BindAsync();

        File.GetUnixFileMode(_directory.SocketFile).Should().Be(UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.GetUnixFileMode(_directory.SocketFile + ".lock").Should().Be(UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Directory.GetFiles(_directory.Path).Select(Path.GetFileName).Should().BeEquivalentTo("s", "s.lock");
    }

    [Theory]
    [InlineData(UnixFileMode.GroupWrite)]
    [InlineData(UnixFileMode.OtherWrite)]
    public async Task BindAsync_DirectoryOthersMayWriteTo_IsRefused(UnixFileMode mode)
    {
        File.SetUnixFileMode(_directory.Path, File.GetUnixFileMode(_directory.Path) | mode);

        (await this.Awaiting(_ => BindAsync()).Should().ThrowAsync<InvalidOperationException>()).WithMessage("*chmod go-w*");
    }

    [Fact]
    public async Task BindAsync_DirectoryThatIsNotThere_IsMadeForItsUserOnly()
    {
        await using var listener = await _transport.BindAsync(new Uri($"pipe://{_directory.Path}/none/s"), new EchoServer(), default);

        File.GetUnixFileMode(_directory.Path + "/none").Should().Be(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    [Fact]
    public async Task Row16_PlainFileOrLiveStranger_IsNotReplaced()
    {
        await File.WriteAllTextAsync(_directory.SocketFile, "precious");
        await this.Awaiting(_ => BindAsync()).Should().ThrowAsync<InvalidOperationException>();
        (await File.ReadAllTextAsync(_directory.SocketFile)).Should().Be("precious");
        File.Delete(_directory.SocketFile);
        await File.WriteAllTextAsync(_directory.SocketFile + "~", "an editor's");
        await this.Awaiting(_ => BindAsync()).Should().ThrowAsync<InvalidOperationException>();
        (await File.ReadAllTextAsync(_directory.SocketFile + "~")).Should().Be("an editor's");
        File.Delete(_directory.SocketFile + "~");

        using var stranger = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        stranger.Bind(new UnixDomainSocketEndPoint(_directory.SocketFile));
        stranger.Listen();
        await this.Awaiting(_ => BindAsync()).Should().ThrowAsync<InvalidOperationException>();
    }

    [Fact]
    public async Task BindAsync_ForOtherUsers_LetsThemConnectButNotWriteToTheFolder()
    {
        var path = _directory.Path + "/shared/s";
        var endPoint = new Uri($"pipe://{path}");
        await using (await _transport.BindAsync(endPoint, new EchoServer { AdmitsOtherUsers = true }, default))
        {
            File.GetUnixFileMode(path).Should().Be((UnixFileMode)0x1B6);
            File.GetUnixFileMode(path + ".lock").Should().Be((UnixFileMode)0x180);
            (File.GetUnixFileMode(_directory.Path + "/shared") & (UnixFileMode.GroupWrite | UnixFileMode.OtherWrite)).Should().Be(UnixFileMode.None);
        }

        File.SetUnixFileMode(_directory.Path + "/shared", (UnixFileMode)0x1FF);
        await _transport.Awaiting(t => t.BindAsync(endPoint, new EchoServer { AdmitsOtherUsers = true }, default).AsTask()).Should().ThrowAsync<InvalidOperationException>();
    }

    [SkippableFact]
    public async Task Row23_ServerOfAnotherUserInTmp_IsNoServer()
    {
        Skip.IfNot(Environment.IsPrivilegedProcess, "Only root can listen as somebody else.");
        using var impostor = Impostor.Listen(_directory.SocketFile);

        (await _transport.Awaiting(t => t.ConnectAsync(_directory.EndPoint, default).DefaultTimeout()).Should().ThrowAsync<PoolProtocolException>())
            .WithMessage($"*{Impostor.UserId}*");
    }

    [SkippableFact]
    public async Task Row23_ServerOfAnotherUserInItsOwnFolder_IsTrustedUnlessOthersCanWriteThere()
    {
        Skip.IfNot(Environment.IsPrivilegedProcess && Directory.Exists("/run"), "Only root can listen as somebody else.");
        var folder = Directory.CreateDirectory($"/run/fix2-{Guid.NewGuid():N}");
        try
        {
            var path = folder.FullName + "/s";
            using var server = Impostor.Listen(path);
            using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await client.ConnectAsync(new UnixDomainSocketEndPoint(path));
            var check = () => ServerUser.Check(client, path, new Uri("pipe://" + path));

            check.Should().Throw<PoolProtocolException>("the folder is root's");
            ChangeOwner(folder.FullName, Impostor.UserId, Impostor.UserId).Should().Be(0);
            check.Should().NotThrow();
            File.SetUnixFileMode(folder.FullName, (UnixFileMode)0x1FF);
            check.Should().Throw<PoolProtocolException>();
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task BindAsync_OfADirectory_IsRefused()
    {
        Directory.CreateDirectory(_directory.SocketFile);

        await this.Awaiting(_ => BindAsync()).Should().ThrowAsync<InvalidOperationException>();

        Directory.Exists(_directory.SocketFile).Should().BeTrue();
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(1, false)]
    [InlineData(1000, false)]
    public async Task BindAsync_PathAtTheBound_IsTakenOrRefused(int excess, bool isTaken)
    {
        var path = _directory.Path + "/" + new string('x', SocketFile.MaxPathBytes - _directory.Path.Length - 1 + excess);
        var endPoint = new Uri("pipe://" + path);
        if (!isTaken)
        {
            await _transport.Awaiting(t => t.BindAsync(endPoint, new EchoServer(), default).AsTask()).Should().ThrowAsync<InvalidOperationException>();
            return;
        }

        await using var listener = await _transport.BindAsync(endPoint, new EchoServer(), default);
        await using var channel = await _transport.ConnectAsync(endPoint, default).DefaultTimeout();
    }

    [Fact]
    public async Task ConnectAsync_PathThatIsTooLong_IsUnavailable() =>
        await _transport.Awaiting(t => t.ConnectAsync(new Uri("pipe:///" + new string('x', 200)), default).DefaultTimeout()).Should().ThrowAsync<ArgumentException>();

    [Theory]
    [InlineData("pipe://host/path")]
    [InlineData("pipe:///")]
    [InlineData("pipe:///directory/")]
    [InlineData("pipe:///path?query")]
    [InlineData("file:///path")]
    public async Task ConnectAsync_OtherEndPoints_AreRefused(string endPoint) =>
        await _transport.Awaiting(t => t.ConnectAsync(new Uri(endPoint), default).AsTask()).Should().ThrowAsync<ArgumentException>();

    [LibraryImport("libc", EntryPoint = "chown", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChangeOwner(string path, uint user, uint group);

    private async Task<PoolListener> BindAsync() => await _transport.BindAsync(_directory.EndPoint, new EchoServer(), default).DefaultTimeout();

    private async Task ConnectsAsync()
    {
        await using var channel = await _transport.ConnectAsync(_directory.EndPoint, default).DefaultTimeout();
        using var reply = await channel.SendAsync(PoolMethod.Renew, new PoolMessage("x"u8.ToArray()), default).DefaultTimeout();
    }
}
