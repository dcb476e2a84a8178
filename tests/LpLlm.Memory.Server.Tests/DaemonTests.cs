using System.Text.Json;
using System.Text.RegularExpressions;

namespace LpLlm.Memory.Tests;

/// <summary>A real daemon, its commands and its end.</summary>
public sealed class DaemonTests : IDisposable
{
    private const int MiB = 1 << 20;

    private readonly ServerFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Start_WritesOneReadinessLineWithItsEndPoints()
    {
        var (daemon, line) = await DaemonProcess.StartReadyAsync(_folder.Socket);
        using (daemon)
        {
            line.Should().MatchRegex($@"^sllm-store ready pipe://{Regex.Escape(_folder.Socket)} grpc://127\.0\.0\.1:[1-9][0-9]*$");

            await daemon.TerminateAsync();
            var (exitCode, output, error) = await daemon.ReadToEndAsync();

            exitCode.Should().Be(0, error);
            output.Should().BeEmpty("logs go to standard error");
            error.Should().Contain("16 MiB");
            File.Exists(_folder.Socket).Should().BeFalse();
        }
    }

    [Fact]
    public async Task S1_Start_TakesItsMemoryAtOnceAndLeasesIt()
    {
        var (daemon, _) = await DaemonProcess.StartReadyAsync(_folder.Socket);
        using (daemon)
        {
            await UntilAsync(status => status.GetProperty("idleBytes").GetInt64() == 16 * MiB);

            using var pool = _folder.CreatePool();
            using var lease = pool.Rent(MiB);
            lease.AsSpan<byte>().Fill(1);

            (await StatusAsync()).GetProperty("leasedBytes").GetInt64().Should().Be(2 * MiB);
        }
    }

    [Fact]
    public async Task StatusLeasesAndRelease_TellAndTakeAway()
    {
        var (daemon, _) = await DaemonProcess.StartReadyAsync(_folder.Socket);
        using (daemon)
        {
            using var pool = _folder.CreatePool();
            using var rented = pool.Rent(MiB);
            rented.AsSpan<byte>().Fill(7);

            var lease = (await JsonAsync("leases", "--json")).EnumerateArray().Should().ContainSingle().Subject;
            lease.GetProperty("client").GetString().Should().Be("tester");
            lease.GetProperty("processId").GetInt64().Should().Be(Environment.ProcessId);
            lease.GetProperty("lengthBytes").GetInt64().Should().Be(2 * MiB);
            lease.GetProperty("state").GetString().Should().Be("leased");
            var id = lease.GetProperty("id").GetUInt64();
            (await RunAsync("leases")).Output.Should().Contain("tester").And.Contain($"{id}").And.Contain("2 MiB");
            (await RunAsync("status")).Output.Should().Contain("16 MiB").And.Contain(_folder.Socket);

            (await RunAsync("release", $"{id}")).Output.Should().Contain($"{id}");

            (await JsonAsync("leases", "--json")).EnumerateArray()
                .Where(other => other.GetProperty("id").GetUInt64() == id && other.GetProperty("state").GetString() == "leased").Should().BeEmpty();
            rented.AsSpan<byte>().IndexOfAnyExcept((byte)7).Should().Be(-1, "memory in use is never taken from under its user");
        }
    }

    [Fact]
    public async Task Release_UnknownLease_ExitsWith1AndNamesIt()
    {
        var (daemon, _) = await DaemonProcess.StartReadyAsync(_folder.Socket);
        using (daemon)
        {
            var (exitCode, _, error) = await DaemonProcess.RunAsync("release", "12345", "--socket", _folder.Socket);

            exitCode.Should().Be(1);
            error.Should().Contain("12345");
        }
    }

    [Theory]
    [InlineData("status")]
    [InlineData("leases")]
    [InlineData("release", "1")]
    public async Task Commands_NoDaemon_ExitWith1AndNameTheSocket(params string[] arguments)
    {
        var (exitCode, output, error) = await DaemonProcess.RunAsync([.. arguments, "--socket", _folder.Socket]);

        exitCode.Should().Be(1);
        output.Should().BeEmpty();
        error.Should().Contain(_folder.Socket).And.NotContain("   at ");
    }

    [Theory]
    [InlineData("Invalid format", "start", "--pool-memory-size", "2G")]
    [InlineData("--num-threads", "start", "--num-threads", "4")]
    [InlineData("LEASE_ID", "release")]
    public async Task Commands_Misused_ExitWith2(string message, params string[] arguments)
    {
        var (exitCode, output, error) = await DaemonProcess.RunAsync(arguments);

        exitCode.Should().Be(2);
        output.Should().BeEmpty();
        error.Should().Contain(message);
    }

    [Theory]
    [InlineData("{ \"PoolServer\": { \"Capacity\": 1 } }", "PoolServer:Capacity")]
    [InlineData("{ \"PoolServer\": { \"WarmBytes\": \"1GiB\" } }", "WarmBytes")]
    [InlineData("{ \"Grpc\": { \"AllowRemote\": true } }", "AllowRemote")]
    [InlineData("{ \"PoolServer\": ", "config.json")]
    public async Task Start_BadConfiguration_ExitsWith1AndNamesIt(string json, string message)
    {
        var config = Path.Combine(_folder.Folder, "config.json");
        await File.WriteAllTextAsync(config, json);

        var (exitCode, output, error) = await DaemonProcess.RunAsync(
            "start", "--socket", _folder.Socket, "--port", "0", "--pool-memory-size", "16MB", "--config", config);

        exitCode.Should().Be(1);
        output.Should().BeEmpty();
        error.Should().Contain(message).And.NotContain("   at ");
    }

    [Fact]
    public async Task Start_Configuration_SaysWhatTheCommandLineDoesNot()
    {
        var config = Path.Combine(_folder.Folder, "config.json");
        await File.WriteAllTextAsync(
            config,
            $$"""{ "PoolServer": { "CapacityBytes": "1GiB", "SegmentBytes": "4MiB", "WarmBytes": "4MiB", "EndPoints": [ "pipe://{{_folder.Socket}}", "grpc://127.0.0.1:0" ] } }""");
        using var daemon = DaemonProcess.Start([], ["start", "--config", config, "--pool-memory-size", "32MB"]);

        (await daemon.ReadLineAsync()).Should().Contain(_folder.Socket);

        var status = await StatusAsync();
        status.GetProperty("capacityBytes").GetInt64().Should().Be((4096L + 32) * MiB, "with the models' part");
        status.GetProperty("mostPoolBytes").GetInt64().Should().Be(32 * MiB);
        status.GetProperty("mostModelBytes").GetInt64().Should().Be(4096L * MiB);
        status.GetProperty("idleBytes").GetInt64().Should().Be(4 * MiB);
    }

    [Fact]
    public async Task Start_OtherThanLoopbackWithoutAToken_IsRefused()
    {
        var (exitCode, _, error) = await DaemonProcess.RunAsync(
            "start", "--host", "0.0.0.0", "--port", "0", "--socket", _folder.Socket, "--pool-memory-size", "2MB");

        exitCode.Should().Be(1);
        error.Should().Contain("0.0.0.0").And.Contain("AccessToken");
    }

    [Fact]
    public async Task Row16_StaleSocketFile_IsReplacedAndASecondDaemonIsRefusedNamingTheFirst()
    {
        var (killed, _) = await DaemonProcess.StartReadyAsync(_folder.Socket);
        using (killed)
        {
            await killed.KillAsync();
        }

        File.Exists(_folder.Socket).Should().BeTrue("nobody was left to remove it");
        var (daemon, _) = await DaemonProcess.StartReadyAsync(_folder.Socket);
        using (daemon)
        {
            var (exitCode, output, error) = await DaemonProcess.RunAsync( // whose memory nobody has: it must not even be tried
                "start", "--socket", _folder.Socket, "--port", "0", "--chunk-size", "1TB", "--pool-memory-size", "1PB");

            exitCode.Should().Be(1);
            output.Should().BeEmpty();
            error.Should().Contain($"{daemon.Id}").And.Contain(_folder.Socket).And.NotContain("   at ");
            (await StatusAsync()).GetProperty("mostPoolBytes").GetInt64().Should().Be(16 * MiB, "the first one serves on");
        }
    }

    [Fact]
    public async Task Row17_OldDaemonThatEnds_LeavesTheNewOnesSocketAlone()
    {
        var (old, _) = await DaemonProcess.StartReadyAsync(_folder.Socket);
        using (old)
        {
            // As an administrator in a hurry: the lock and the socket go with their files, so that a second daemon can take the path over.
            File.Delete(_folder.Socket);
            File.Delete(_folder.Socket + ".lock");
            var (daemon, _) = await DaemonProcess.StartReadyAsync(_folder.Socket);
            using (daemon)
            {
                await old.TerminateAsync();
                (await old.ReadToEndAsync()).ExitCode.Should().Be(0);

                using var pool = _folder.CreatePool();
                using var lease = pool.Rent(MiB);
                (await JsonAsync("leases", "--json")).GetArrayLength().Should().Be(1);
            }
        }
    }

    [Fact]
    public async Task Row33_SigtermUnderLoad_TellsClientsDrainsAndExitsWith0()
    {
        var config = Path.Combine(_folder.Folder, "config.json");
        await File.WriteAllTextAsync(config, """{ "PoolServer": { "DrainTimeout": "00:00:01" } }""");
        var (daemon, _) = await DaemonProcess.StartReadyAsync(_folder.Socket, "--config", config);
        using (daemon)
        {
            var pool = _folder.CreatePool(capacityBytes: 8 * MiB);
            using var held = pool.Rent(MiB);
            held.AsSpan<byte>().Fill(9);
            using var stop = new CancellationTokenSource();
            var first = new TaskCompletionSource();
            var load = Task.Run(() => GrowAndTrim(pool, first, stop.Token));
            await first.Task.DefaultTimeout();

            await daemon.TerminateAsync();
            var (exitCode, _, error) = await daemon.ReadToEndAsync();
            await stop.CancelAsync();

            exitCode.Should().Be(0, error);
            (await load.DefaultTimeout()).Should().BeAssignableTo<PoolTransportException>("growth fails with a typed error once the daemon stops");
            held.AsSpan<byte>().IndexOfAnyExcept((byte)9).Should().Be(-1, "leases stay usable");
        }
    }

    /// <summary>Grows the pool and gives the memory back, until that fails.</summary>
    private static PinnedMemoryException? GrowAndTrim(IPinnedMemoryPool pool, TaskCompletionSource first, CancellationToken stop)
    {
        try
        {
            while (!stop.IsCancellationRequested)
            {
                pool.Rent(2 * MiB).Dispose();
                pool.Trim();
                first.TrySetResult();
            }

            return null;
        }
        catch (PinnedMemoryException failure)
        {
            return failure;
        }
    }

    private async Task UntilAsync(Func<JsonElement, bool> holds)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!holds(await StatusAsync()))
        {
            await Task.Delay(50, deadline.Token);
        }
    }

    private async Task<JsonElement> StatusAsync() => await JsonAsync("status", "--json");

    private async Task<JsonElement> JsonAsync(params string[] arguments) =>
        JsonDocument.Parse((await RunAsync(arguments)).Output).RootElement;

    private async Task<(string Output, string Error)> RunAsync(params string[] arguments)
    {
        var (exitCode, output, error) = await DaemonProcess.RunAsync([.. arguments, "--socket", _folder.Socket]);
        exitCode.Should().Be(0, error);
        return (output, error);
    }
}
