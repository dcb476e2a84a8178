using LpLlm.Memory.Server;
using LpLlm.Memory.Tests.Server;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Windows;

/// <summary>A pool server and its clients on Windows.</summary>
public sealed class ServerPoolTests : IDisposable
{
    private const long MiB = 1 << 20;

    private readonly PoolHosts _hosts = new();

    public void Dispose() => _hosts.Dispose();

    [Fact]
    public async Task ClientIsKilled_ItsMemoryComesBack()
    {
        var server = _hosts.CreateServer(_hosts.PipeEndPoint);
        using var client = HoldingClient.Start(_hosts.PipeEndPoint);
        await TestTimeouts.UntilAsync(() => server.Engine!.GetStatistics().LeasedBytes == HoldingClient.LengthBytes);

        client.Kill();

        await TestTimeouts.UntilAsync(() => server.Engine!.GetStatistics() is { LeasedBytes: 0, PendingBytes: 0, ReclaimedLeases: 1 });
        using var next = _hosts.CreatePool(64 * MiB, _hosts.PipeEndPoint).Rent(64 * MiB);
        next.AsSpan<byte>().IndexOfAnyExcept((byte)0).Should().Be(-1, "nobody sees what the dead client wrote");
    }

    [Fact]
    public async Task ServerIsStartedAnew_TheClientsBytesStayAndAreItsAgain()
    {
        var first = _hosts.CreateServer(_hosts.PipeEndPoint);
        var pool = _hosts.CreatePool(16 * MiB, _hosts.PipeEndPoint);
        using var lease = pool.Rent(12 * MiB);
        lease.AsSpan<byte>().Fill(0x5A);
        await first.DisposeAsync();

        var second = _hosts.CreateServer(_hosts.PipeEndPoint);

        await TestTimeouts.UntilAsync(() => second.Engine!.GetStatistics().LeasedBytes == 16 * MiB);
        lease.AsSpan<byte>().IndexOfAnyExcept((byte)0x5A).Should().Be(-1);
        second.Engine!.List().Should().ContainSingle().Which.LengthBytes.Should().Be(16 * MiB);
    }

    [Fact]
    public async Task ServerIsStartedAnew_AnotherProcessShowsItsMemoryAndLosesItWhenItIsKilled()
    {
        var first = _hosts.CreateServer(_hosts.PipeEndPoint);
        using var client = HoldingClient.Start(_hosts.PipeEndPoint);
        await TestTimeouts.UntilAsync(() => first.Engine!.GetStatistics().LeasedBytes == HoldingClient.LengthBytes);
        await first.DisposeAsync();

        var second = _hosts.CreateServer(_hosts.PipeEndPoint);

        await TestTimeouts.UntilAsync(() => second.Engine!.GetStatistics().LeasedBytes == HoldingClient.LengthBytes);
        client.Kill();
        await TestTimeouts.UntilAsync(() => second.Engine!.GetStatistics() is { LeasedBytes: 0, PendingBytes: 0, ReclaimedLeases: 1 });
    }

    [Fact]
    public void Rent_FromAServer_IsPageLockedAndShared()
    {
        using var lease = _hosts.CreatePool(8 * MiB, _hosts.PipeEndPoint).Rent(MiB);

        lease.Capabilities.Should().HaveFlag(PoolCapabilities.PageLocked).And.HaveFlag(PoolCapabilities.Shared);
    }

    [Fact]
    public async Task Start_NoEndPointNamed_ListensAtThePipeOfThisUser()
    {
        var server = _hosts.Build(services => services.AddPoolServer(o => (o.CapacityBytes, o.SegmentBytes) = (16 * MiB, 4 * MiB)))
            .GetRequiredService<PoolServer>();
        await server.StartAsync(CancellationToken.None).DefaultTimeout();

        var endPoint = server.EndPoints.Should().ContainSingle().Which.ToString();

        endPoint.Should().StartWith("pipe:///sllm-store-S-1-");
        using var lease = _hosts.CreatePool(4 * MiB, endPoint).Rent(MiB);
    }

    [Fact]
    public void AllowedUsers_Named_AreRefusedWhenTheOptionsAreRead()
    {
        using var provider = new ServiceCollection()
            .AddPoolServer(o =>
            {
                (o.CapacityBytes, o.SegmentBytes) = (16 * MiB, 4 * MiB);
                o.AllowedUsers.Add("somebody");
            })
            .BuildServiceProvider();

        provider.Invoking(p => p.GetRequiredService<PoolServer>()).Should().Throw<Microsoft.Extensions.Options.OptionsValidationException>()
            .WithMessage("*AllowedUsers*Linux*");
    }
}
