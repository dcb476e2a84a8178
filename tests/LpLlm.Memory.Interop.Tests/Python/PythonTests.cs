using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Grpc.Python;

namespace LpLlm.Memory.Transport.Grpc;

/// <summary>Debian's python3-grpcio against the server, on both kinds of sockets.</summary>
public sealed class PythonTests : IDisposable
{
    private const string Token = "0123456789abcdef0123456789abcdef";
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("interop");

    private string Unix => $"grpc+unix://{_directory.FullName}/pool.sock";

    public void Dispose() => _directory.Delete(recursive: true);

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AllTwelveCalls_ErrorsDeadlinesAndConcurrency_AsTheOriginalsClientMakesThem(bool unix)
    {
        await using var server = await StartAsync(unix);

        (await PythonClient.RunAsync("all_calls.py", Target(server))).Should().Contain("all calls passed");

        await TestTimeouts.UntilAsync(() => server.Engine.GetStatistics() is { Leases: 0, Sessions: 0 });
    }

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task OwnContract_HelloLeaseErrorsAndWatch_WorkFromPython(bool unix)
    {
        await using var server = await StartAsync(unix);

        (await PythonClient.RunAsync("pool.py", Target(server))).Should().Contain("pool passed");
    }

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task S5_ClientIsKilled_ItsMemoryComesBackZeroed(bool unix)
    {
        await using var server = await StartAsync(unix);
        using var client = await PythonClient.StartAsync("hold.py", Target(server), "victim");
        await client.ReadLineAsync();
        server.Engine.List().Should().ContainSingle().Which.Owner.ProcessId.Should().Be(client.ProcessId);
        var segment = server.Source.Made.Should().ContainSingle().Which;
        segment.Bytes.IndexOfAnyExcept((byte)0x5A).Should().Be(-1, "it is the same memory");

        await client.KillAsync();

        await TestTimeouts.UntilAsync(() => server.Engine.GetStatistics() is { Leases: 0, LeasedBytes: 0, PendingBytes: 0 });
        (segment.IsDiscarded || segment.Bytes.IndexOfAnyExcept((byte)0) < 0).Should().BeTrue();
        using var next = await PythonClient.StartAsync("hold.py", Target(server), "victim");
        await next.ReadLineAsync();
    }

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task S5_ClientOnlyLosesItsConnection_KeepsItsMemory(bool unix)
    {
        await using var server = await StartAsync(unix);
        using var client = await PythonClient.StartAsync("hold.py", Target(server), "steady");
        await client.ReadLineAsync();
        await client.WriteLineAsync("close");
        (await client.ReadLineAsync()).Should().Be("closed");

        using var sharer = await PythonClient.StartAsync("hold.py", Target(server), "steady");
        await sharer.ReadLineAsync();
        await client.KillAsync();
        await sharer.WriteLineAsync("again");

        (await sharer.ReadLineAsync()).Should().Be("True", "the same user's second process holds the same lease");
        server.Engine.List().Should().ContainSingle().Which.State.Should().Be(LeaseState.Leased);
        server.Source.Made.Should().ContainSingle();
        await sharer.KillAsync();
        await TestTimeouts.UntilAsync(() => server.Engine.GetStatistics().Leases == 0);
    }

    [SkippableFact]
    public async Task Health_CheckAndWatch_TellWhenTheServerStops()
    {
        await using var server = await StartAsync(unix: false);
        using var client = await PythonClient.StartAsync("health.py", Target(server));
        (await client.ReadLineAsync()).Should().Be("SERVING");

        await server.Listener.StopAcceptingAsync();

        (await client.ReadLineAsync()).Should().Be("NOT_SERVING");
    }

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reflection_DescriptorsFromTheServer_AreEnoughToCallIt(bool unix)
    {
        await using var server = await StartAsync(unix);

        (await PythonClient.RunAsync("reflection.py", Target(server))).Should().Contain("reflection passed");
    }

    [SkippableFact]
    public async Task AccessToken_RightWrongAndMissing_OnTcp()
    {
        await using var server = await StorageServer.StartAsync(settings: new GrpcTransportSettings { AccessToken = Token });

        (await PythonClient.RunAsync("access_token.py", Target(server), Token)).Should().Contain("token passed");
    }

    /// <summary>
    /// C-core from 1.57 on sends the socket's path as :authority, percent-encoded; Kestrel resets such streams and has no switch for it. The
    /// documented remedy for those clients is the option grpc.default_authority=localhost.
    /// </summary>
    [SkippableFact]
    public async Task Authority_OnUnixSockets_MustBeAHostName()
    {
        await using var server = await StartAsync(unix: true);

        var answers = await PythonClient.RunAsync("authority.py", Target(server), "default", "localhost", "tmp%2Fpool.sock", "/tmp/pool.sock");

        answers.Split('\n', StringSplitOptions.RemoveEmptyEntries).Should().HaveCount(4).And.StartWith(["OK", "OK"]).And.Subject.Skip(2).Should().NotContain("OK");
    }

    [SkippableFact]
    public async Task Descriptors_ToAServerThatTakesNone_AreRefusedToTheirSender()
    {
        Skip.If(Environment.OSVersion.Version < new Version(6, 16), "Needs SO_PASSRIGHTS, which Linux has from 6.16 on.");
        await using var server = await StartAsync(unix: true);

        (await PythonClient.RunAsync("descriptors.py", Target(server))).Trim().Should().Be("refused");
    }

    /// <summary>Row 23 and S9: another user has clients of its own name, and cannot open the file of this one.</summary>
    [SkippableFact]
    public async Task S9_AnotherUser_NeitherFreesNorOpensALease()
    {
        Skip.If(Sockets.SocketNative.GetUserId() != 0 || !File.Exists("/usr/bin/setpriv"), "Needs root and setpriv.");
        await using var server = await StartAsync(unix: false);
        using var client = await PythonClient.StartAsync("hold.py", Target(server), "mine");
        var path = await client.ReadLineAsync();
        var folder = Path.Combine(AppContext.BaseDirectory, "Python");
        string[] asNobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-B", "-c"];

        var open = () => ForeignProgram.RunAsync("/usr/bin/setpriv", "/", [.. asNobody, $"open('{path}', 'r+b')"]);
        (await open.Should().ThrowAsync<InvalidOperationException>()).WithMessage("*Permission*");
        var free = $"import sys; sys.path.insert(0, '{folder}'); import grpc, storage_pb2 as pb; from common import stub; s = stub('{Target(server)}')\n"
            + "try: print(s.FreePoolMemory(pb.FreePoolMemoryRequest(client_id='mine')).success)\nexcept grpc.RpcError as e: print(e.code().name)";
        Skip.If(!IsReadableByAll(folder), "The test's folder is not readable to other users.");
        var answer = (await ForeignProgram.RunAsync("/usr/bin/setpriv", "/", [.. asNobody, free])).Trim();

        answer.Should().BeOneOf("False", "PERMISSION_DENIED");
        server.Engine.List().Should().ContainSingle();
    }

    private static bool IsReadableByAll(string folder)
    {
        for (var directory = new DirectoryInfo(folder); directory is not null; directory = directory.Parent)
        {
            if (!OperatingSystem.IsWindows() && (directory.UnixFileMode & UnixFileMode.OtherExecute) == 0)
            {
                return false;
            }
        }

        return true;
    }

    private static string Target(StorageServer server) =>
        server.EndPoint.Scheme == GrpcEndPoint.Unix ? $"unix:{server.EndPoint.AbsolutePath}" : server.EndPoint.Authority;

    private Task<StorageServer> StartAsync(bool unix) => unix ? StorageServer.StartAsync(Unix) : StorageServer.StartAsync();
}
