using System.Runtime.Versioning;

namespace LpLlm.Memory.Tests.Server;

[SupportedOSPlatform("linux")]
public class AccessTests
{
    private const UnixFileMode Everybody =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    private static readonly string[] AllowedUsers = ["65534"];

    [SkippableFact]
    public async Task Row23_AnotherUser_DoesNotGetToTheSocket()
    {
        using var user = new OrdinaryUser();
        await using var daemon = await Daemon.StartAsync();
        File.GetUnixFileMode(daemon.Folder).Should().Be(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        using var client = new Puppet(ChildProcess.StartCommand(user.CommandOf("puppet")));

        (await RefusalAsync(client, daemon)).Text.Should().Contain(daemon.SocketPath, "the kernel refuses");
    }

    [SkippableFact]
    public async Task Row23_AnotherUserWhoGetsToTheSocket_IsRefusedBeforeAnythingIsSaid()
    {
        using var user = new OrdinaryUser();
        await using var daemon = await Daemon.StartAsync();
        Open(daemon);
        using var client = new Puppet(ChildProcess.StartCommand(user.CommandOf("puppet")));

        (await RefusalAsync(client, daemon)).Text.Should().Contain("AllowedUsers").And.Contain("65534");

        (await daemon.Watcher.GetStatisticsAsync()).Sessions.Should().Be(1);
    }

    [SkippableFact]
    public async Task Row23_AnAllowedUser_HasItsOwnMemoryAndNobodyElses()
    {
        using var user = new OrdinaryUser();
        await using var daemon = await Daemon.StartAsync(new DaemonSettings().With("AllowedUsers", AllowedUsers));
        Open(daemon);
        using var owner = await Puppet.StartSessionAsync(daemon);
        var lease = (await owner.AskAsync("s acquire 16777216 5000")).Split(' ');
        await owner.AskAsync("s map", "s fill 1");
        using var client = new Puppet(ChildProcess.StartCommand(user.CommandOf("puppet")));
        await client.AskAsync($"s session {daemon.EndPoint}", "s connect", "s hello");

        // Even with the token, which nobody but the owner has.
        (await FluentActions.Awaiting(() => client.AskAsync($"s attach {lease[1]}")).Should().ThrowAsync<PuppetException>())
            .Which.Code.Should().Be("NotFound");
        (await FluentActions.Awaiting(() => client.AskAsync($"s release {lease[0]}")).Should().ThrowAsync<PuppetException>())
            .Which.Code.Should().Be("NotFound");
        (await client.AskAsync($"s look /proc/{daemon.Process.Id}/fd")).Should().Be("UnauthorizedAccessException", "nor by the kernel's own list");

        await client.AskAsync("s acquire 16777216 5000", "s map");
        (await client.AskAsync("s nonzero")).Should().Be("0");
        await client.AskAsync("s fill 2");
        (await owner.AskAsync("s check 1")).Should().Be("0");

        // What one user had is made anew for the other.
        await owner.AskAsync("s goodbye");
        await client.AskAsync("s goodbye");
        await daemon.WaitForAllBackAsync(otherSessions: 0);
        using var second = new Puppet(ChildProcess.StartCommand(user.CommandOf("puppet")));
        await second.AskAsync($"s session {daemon.EndPoint}", "s connect", "s hello", "s acquire 33554432 5000", "s map");
        (await second.AskAsync("s nonzero")).Should().Be("0");
    }

    [SkippableFact]
    public async Task Row23_AnAllowedUser_DoesNotOpenAnothersSharedLease_EvenWithItsToken()
    {
        using var user = new OrdinaryUser();
        await using var daemon = await Daemon.StartAsync(new DaemonSettings().With("AllowedUsers", AllowedUsers));
        Open(daemon);
        using var owner = Puppet.Start();
        await owner.AskAsync($"p pool server {daemon.EndPoint} 16777216 4194304");
        var token = await owner.AskAsync("p share 4194304");
        using var other = new Puppet(ChildProcess.StartCommand(user.CommandOf("puppet")));
        await other.AskAsync($"p pool server {daemon.EndPoint} 16777216 4194304");

        (await FluentActions.Awaiting(() => other.AskAsync($"p open {token}")).Should().ThrowAsync<PuppetException>())
            .Which.Type.Should().Be(nameof(PoolRequestRejectedException));
        using var same = new Puppet(ChildProcess.StartCommand(user.CommandOf("puppet")));
        await same.AskAsync($"p pool server {daemon.EndPoint} 16777216 4194304", $"p open {await other.AskAsync("p share 4194304")}");

        (await daemon.Watcher.GetStatisticsAsync()).LeasedBytes.Should().Be(2 * 4 << 20, "two leases, of which one has two holders");
    }

    private static void Open(Daemon daemon)
    {
        File.SetUnixFileMode(daemon.Folder, Everybody & ~(UnixFileMode.GroupWrite | UnixFileMode.OtherWrite)
            | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        File.SetUnixFileMode(daemon.SocketPath, Everybody);
    }

    private static async Task<PuppetException> RefusalAsync(Puppet client, Daemon daemon)
    {
        var refusal = (await FluentActions.Awaiting(() => client.AskAsync($"s session {daemon.EndPoint}", "s connect"))
            .Should().ThrowAsync<PuppetException>()).Which;
        refusal.Code.Should().Be("PermissionDenied");
        return refusal;
    }
}
