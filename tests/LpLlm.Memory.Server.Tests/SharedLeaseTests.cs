namespace LpLlm.Memory.Tests;

/// <summary>Leases that two pools have, over each transport of a real daemon.</summary>
public sealed class SharedLeaseTests : IDisposable
{
    private const int MiB = 1 << 20;

    private readonly ServerFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("pipe")]
    [InlineData("grpc+unix")]
    [InlineData("grpc")]
    public async Task OnEveryTransport_BothHaveTheSameBytes_AndTheLastFreesThem(string scheme)
    {
        var (daemon, endPoint) = await StartAsync(scheme);
        using (daemon)
        {
            var (first, second) = (_folder.CreateServerPool(endPoint), _folder.CreateServerPool(endPoint));
            var written = await first.RentSharedAsync((5 * MiB) + 8).DefaultTimeout();
            written.Lease.AsSpan<long>()[^1] = 42;

            var read = await second.OpenSharedAsync(written.Token).DefaultTimeout();

            read.Lease.LengthBytes.Should().Be((5 * MiB) + 8);
            read.Lease.Address.Should().NotBe(written.Lease.Address);
            read.Lease.AsSpan<long>()[^1].Should().Be(42);
            read.Lease.AsSpan<long>()[0] = 43;
            written.Lease.AsSpan<long>()[0].Should().Be(43);
            (await LeasedBytesAsync()).Should().Be(6 * MiB, "three segments of 2 MiB, once");
            written.Dispose();
            read.Lease.AsSpan<long>()[0].Should().Be(43);
            read.Dispose();
            using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            while (await LeasedBytesAsync() > 0)
            {
                deadline.Token.ThrowIfCancellationRequested();
            }

            (await FluentActions.Awaiting(() => second.OpenSharedAsync(written.Token).DefaultTimeout()).Should()
                .ThrowAsync<PoolRequestRejectedException>()).Which.Code.Should().Be(5);
        }
    }

    private async Task<(DaemonProcess Daemon, string EndPoint)> StartAsync(string scheme)
    {
        var config = Path.Combine(_folder.Folder, "config.json");
        await File.WriteAllTextAsync(config, $$"""{ "PoolServer": { "EndPoints": [ "grpc+unix://{{_folder.Socket}}.grpc", "grpc://127.0.0.1:0" ] } }""");
        var (daemon, line) = await DaemonProcess.StartReadyAsync(_folder.Socket, "--config", config);
        return (daemon, line.Split(' ').Single(part => part.StartsWith($"{scheme}://", StringComparison.Ordinal)));
    }

    private async Task<long> LeasedBytesAsync()
    {
        var (_, output, _) = await DaemonProcess.RunAsync("status", "--json", "--socket", _folder.Socket);
        using var status = System.Text.Json.JsonDocument.Parse(output);
        return status.RootElement.GetProperty("leasedBytes").GetInt64();
    }
}
