using System.Globalization;
using System.Reflection;
using System.Text.Json;
using LpLlm.Memory.Tests.Children;

namespace LpLlm.Memory.Tests.Server;

/// <summary>The executable, on a socket in a folder of its own, and a channel of the test's own on which it is watched.</summary>
internal sealed class Daemon : IAsyncDisposable
{
    private readonly DirectoryInfo _folder;
    private readonly string[] _command;
    private ChildProcess? _process;
    private ProtocolClient? _watcher;

    private Daemon(DaemonSettings settings)
    {
        _folder = Directory.CreateTempSubdirectory("lpllm-daemon-");
        var config = Path.Combine(_folder.FullName, "config.json");
        File.WriteAllText(config, JsonSerializer.Serialize(new { PoolServer = settings.Options }));
        SocketPath = Path.Combine(_folder.FullName, "pool.sock");
        _command =
        [
            .. settings.Prefix, "dotnet", Program, "start", "--config", config, "--socket", SocketPath, "--port", "0",
            "--pool-memory-size", $"{settings.CapacityBytes.ToString(CultureInfo.InvariantCulture)}B",
            "--storage-path", settings.StoragePath, "--mem-pool-size", "64MB", "--chunk-size", $"{settings.SegmentBytes.ToString(CultureInfo.InvariantCulture)}B",
        ];
    }

    public static string Program { get; } = typeof(Daemon).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(attribute => attribute.Key == "StoreProgram").Value!;

    public string Folder => _folder.FullName;

    public string SocketPath { get; }

    public Uri EndPoint => new($"pipe://{SocketPath}");

    public ChildProcess Process => _process ?? throw new InvalidOperationException("The daemon does not run.");

    /// <summary>The test's own session, on which no memory is leased.</summary>
    public ProtocolClient Watcher => _watcher ?? throw new InvalidOperationException("The daemon does not run.");

    public static async Task<Daemon> StartAsync(DaemonSettings? settings = null)
    {
        var daemon = new Daemon(settings ?? new DaemonSettings());
        try
        {
            await daemon.StartAgainAsync();
            return daemon;
        }
        catch
        {
            await daemon.DisposeAsync();
            throw;
        }
    }

    /// <summary>After it has ended: the same command once more.</summary>
    public async Task StartAgainAsync()
    {
        _process?.Dispose();
        _process = ChildProcess.StartCommand(_command);
        var ready = await _process.ReadLineAsync();
        ready.Should().StartWith("sllm-store ready ").And.Contain(EndPoint.ToString());
        if (_watcher is not null)
        {
            await _watcher.DisposeAsync();
        }

        _watcher = await ProtocolClient.OpenAsync(EndPoint, "watcher");
    }

    public Task KillAsync() => Process.KillAsync();

    /// <summary>Waits until nothing is leased, in quarantine or being zeroed, and nobody but the watcher and the given others is there.</summary>
    public async Task WaitForAllBackAsync(int otherSessions = 0, long leasedBytes = 0)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (true)
        {
            var figures = await Watcher.GetStatisticsAsync();
            if (figures.LeasedBytes == leasedBytes && figures.PendingBytes == 0 && figures.Waiting == 0 && figures.Sessions == 1 + otherSessions)
            {
                (figures.LeasedBytes + figures.IdleBytes).Should().BeLessThanOrEqualTo(figures.CapacityBytes);
                return;
            }

            try
            {
                await Task.Delay(5, deadline.Token);
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException($"Not all came back within 20 s: {figures}. Leases: {string.Join("; ", await Watcher.ListAsync())}");
            }
        }
    }

    /// <summary>A client leases all there is and finds nothing but zeros.</summary>
    public async Task FindOnlyZerosAsync(long lengthBytes)
    {
        using var client = await Puppet.StartSessionAsync(this);
        var nonZero = await client.AskAsync($"s acquire {lengthBytes} 5000", "s map", "s nonzero");
        nonZero.Should().Be("0", "no client sees another's bytes");
        await client.AskAsync("s goodbye");
    }

    public async ValueTask DisposeAsync()
    {
        if (_watcher is not null)
        {
            await _watcher.DisposeAsync();
        }

        _process?.Dispose();
        _folder.Delete(recursive: true);
    }
}
