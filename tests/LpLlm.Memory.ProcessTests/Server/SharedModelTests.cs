using System.Globalization;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Tests.Server;

/// <summary>One model, many processes: one copy in memory, and nobody's end is anybody else's affair.</summary>
public sealed class SharedModelTests : IDisposable
{
    private const int MiB = 1 << 20;
    private const int LengthBytes = (24 * MiB) + 12345;

    private readonly string _storage = Directory.CreateTempSubdirectory("lpllm-models-").FullName;
    private readonly string _sum;

    public SharedModelTests()
    {
        var data = new byte[LengthBytes];
        new Random(5).NextBytes(data);
        Directory.CreateDirectory(Path.Combine(_storage, "m"));
        File.WriteAllBytes(Path.Combine(_storage, "m", "tensor.data_0"), data);
        File.WriteAllText(Path.Combine(_storage, "m", "tensor_index.json"), $$"""{"t": [0, {{LengthBytes}}, [{{LengthBytes}}], [1], "torch.uint8"]}""");
        var hash = 14695981039346656037UL;
        foreach (var value in data)
        {
            hash = (hash ^ value) * 1099511628211UL;
        }

        _sum = hash.ToString(CultureInfo.InvariantCulture);
    }

    public void Dispose() => Directory.Delete(_storage, recursive: true);

    [Fact]
    public async Task TwoProcesses_HaveOnePhysicalCopy()
    {
        await using var daemon = await StartAsync();
        using var first = await OpenAsync(daemon);
        using var second = await OpenAsync(daemon);
        (await first.AskAsync("m sum")).Should().Be(_sum);
        (await second.AskAsync("m sum")).Should().Be(_sum);

        var (a, b) = (await ResidentAsync(first), await ResidentAsync(second));

        a.Inode.Should().Be(b.Inode, "it is the same file");
        (a.Rss, b.Rss).Should().Match<(long A, long B)>(rss => rss.A >= LengthBytes && rss.B >= LengthBytes, "all of it was read in both");
        // The server's mapping is the third: the kernel divides each page by the processes that have it. Of the segment's 26 MiB the last part may be mapped, too.
        (a.Pss + b.Pss).Should().BeInRange((LengthBytes * 2L / 3) - MiB, (26L * MiB * 2 / 3) + MiB);
        (await ModelAsync(daemon)).UseCount.Should().Be(2);
        (await daemon.Watcher.GetStatisticsAsync()).ModelBytes.Should().Be(26 * MiB);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task Row01_Kill_OfEither_ChangesNothingForTheOther_AndItsUseEnds(int victim)
    {
        await using var daemon = await StartAsync();
        using var first = await OpenAsync(daemon);
        using var second = await OpenAsync(daemon);
        var (killed, other) = victim == 0 ? (first, second) : (second, first);

        await killed.Process.KillAsync();

        await UntilAsync(async () => (await ModelAsync(daemon)).UseCount == 1);
        (await other.AskAsync("m sum")).Should().Be(_sum);
        (await FluentActions.Awaiting(() => UnloadAsync(daemon)).Should().ThrowAsync<PoolFaultException>()).Which.Message.Should().Contain("use");
        await other.AskAsync("m close");
        await UntilAsync(async () => (await ModelAsync(daemon)).UseCount == 0);
        await UnloadAsync(daemon);
        await daemon.WaitForAllBackAsync(otherSessions: 1);
        (await other.AskAsync("m open m", "m sum")).Should().Be(_sum, "it is loaded anew");
    }

    [Fact]
    public async Task Kill_OfTheDaemon_LeavesBothReading()
    {
        await using var daemon = await StartAsync();
        using var first = await OpenAsync(daemon);
        using var second = await OpenAsync(daemon);

        await daemon.KillAsync();

        (await first.AskAsync("m sum")).Should().Be(_sum);
        await daemon.StartAgainAsync();
        (await second.AskAsync("m sum")).Should().Be(_sum);
        await UntilAsync(() => first.SucceedsAsync("m open m", nameof(PoolServerUnavailableException)));
        (await first.AskAsync("m sum")).Should().Be(_sum);
        (await ModelAsync(daemon)).UseCount.Should().Be(1);
    }

    private static async Task<Puppet> OpenAsync(Daemon daemon)
    {
        var puppet = Puppet.Start();
        try
        {
            await puppet.AskAsync($"m model {daemon.EndPoint}", "m open m");
            return puppet;
        }
        catch
        {
            puppet.Dispose();
            throw;
        }
    }

    private static async Task<(string Inode, long Rss, long Pss)> ResidentAsync(Puppet puppet)
    {
        var parts = (await puppet.AskAsync("m resident")).Split(' ');
        return (parts[0], long.Parse(parts[1], CultureInfo.InvariantCulture), long.Parse(parts[2], CultureInfo.InvariantCulture));
    }

    private static async Task<ModelSummary> ModelAsync(Daemon daemon) => (await daemon.Watcher.CallAsync(
        PoolMethod.ListModels, new ListModelsRequest { Session = daemon.Watcher.Session }, ListModelsReply.Parser)).Models.Single();

    private static Task<UnloadModelReply> UnloadAsync(Daemon daemon) => daemon.Watcher.CallAsync(
        PoolMethod.UnloadModel, new UnloadModelRequest { Session = daemon.Watcher.Session, Model = "m" }, UnloadModelReply.Parser);

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!await condition())
        {
            await Task.Delay(5, deadline.Token);
        }
    }

    private Task<Daemon> StartAsync() => Daemon.StartAsync(new DaemonSettings { StoragePath = _storage });
}
