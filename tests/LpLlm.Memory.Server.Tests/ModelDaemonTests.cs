using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Tests;

/// <summary>A real daemon's model store: its commands, and what clients on every transport get of it.</summary>
public sealed class ModelDaemonTests : IDisposable
{
    private const int MiB = 1 << 20;

    private readonly ServerFolder _folder = new();
    private readonly StoredModels _models = new();
    private readonly List<ServiceProvider> _clients = [];

    public void Dispose()
    {
        _clients.ForEach(client => client.Dispose());
        _models.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task LoadListAndUnload_TellTimeRateAndState()
    {
        _models.Add("llama/tiny", 5_000_001);
        using var daemon = await StartAsync();

        (await RunAsync("load", "--model", "llama/tiny")).Should().MatchRegex(@"'llama/tiny' is loaded: 5000001 B in \d+\.\d{3} s \(\d+\.\d\d GB/s\)");
        (await RunAsync("load", "--model", "llama/tiny")).Should().Contain("already");
        var model = (await JsonAsync("list", "--json")).EnumerateArray().Should().ContainSingle().Subject;
        (model.GetProperty("model").GetString(), model.GetProperty("state").GetString(), model.GetProperty("lengthBytes").GetInt64())
            .Should().Be(("llama/tiny", "loaded", 5_000_001));
        (await RunAsync("list")).Should().Contain("llama/tiny").And.Contain("GB/s");
        (await JsonAsync("status", "--json")).GetProperty("modelBytes").GetInt64().Should().Be(6 * MiB);

        (await RunAsync("unload", "--model", "llama/tiny")).Should().Contain("unloaded");

        (await JsonAsync("list", "--json"))[0].GetProperty("state").GetString().Should().Be("registered");
        (await JsonAsync("status", "--json")).GetProperty("modelBytes").GetInt64().Should().Be(0);
        var (exitCode, _, error) = await DaemonProcess.RunAsync("unload", "--model", "llama/tiny", "--socket", _folder.Socket);
        (exitCode, error).Should().Match<(int Code, string Text)>(end => end.Code == 1 && end.Text.Contains("not in memory"));
    }

    [Theory]
    [InlineData("pipe")]
    [InlineData("grpc+unix")]
    [InlineData("grpc")]
    public async Task Open_OnEveryTransport_IsTheFilesBytesToRead(string scheme)
    {
        var data = _models.Add("m", 5_000_001);
        using var daemon = await StartAsync();
        var store = Client(scheme == "grpc" ? daemon.Tcp : $"{scheme}://{(scheme == "pipe" ? _folder.Socket : _folder.Socket + ".grpc")}");

        using var model = await store.OpenAsync("m").DefaultTimeout();

        model.LengthBytes.Should().Be(data.Length);
        model.Capabilities.Should().HaveFlag(PoolCapabilities.Shared).And.HaveFlag(PoolCapabilities.PageLocked);
        BytesOf(model, "first").SequenceEqual(data.AsSpan(0, 1000)).Should().BeTrue();
        BytesOf(model, "rest").SequenceEqual(data.AsSpan(1000)).Should().BeTrue();
        ProtectionOf(model.Address).Should().Be("r--s");
    }

    [Fact]
    public async Task Open_InUse_CannotBeUnloaded_AndClosingFreesIt()
    {
        _models.Add("m", 3 * MiB);
        using var daemon = await StartAsync();
        var store = Client();
        var first = await store.OpenAsync("m").DefaultTimeout();
        var second = await store.OpenAsync("m").DefaultTimeout();
        first.Dispose();
        first.Dispose();

        var (exitCode, _, error) = await DaemonProcess.RunAsync("unload", "--model", "m", "--socket", _folder.Socket);
        (exitCode, error).Should().Match<(int Code, string Text)>(end => end.Code == 1 && end.Text.Contains("use"));
        second.Dispose();

        await UntilAsync(async () => (await JsonAsync("list", "--json"))[0].GetProperty("users").GetInt32() == 0);
        await RunAsync("unload", "--model", "m");
        FluentActions.Invoking(() => second.Address).Should().Throw<ObjectDisposedException>();
    }

    [Fact]
    public async Task U9_Open_ThatFails_SaysWhyAsTheStoreDid()
    {
        _models.Add("bad", 2 * MiB);
        await File.WriteAllTextAsync(Path.Combine(_models.Path, "bad", "tensor_index.json"), "{");
        Directory.CreateDirectory(Path.Combine(_models.Path, "empty"));
        using var daemon = await StartAsync();
        var store = Client();

        (await FailureAsync(store, "nothing")).Fault.Should().Be(ModelStoreFault.NotFound);
        (await FailureAsync(store, "bad")).Should().Match<ModelStoreException>(e => e.Fault == ModelStoreFault.Damaged && e.Model == "bad" && e.Message.Contains("tensor_index.json"));
        (await FailureAsync(store, "empty")).Message.Should().Contain("tensor.data_0");
        foreach (var path in new[] { "../m", "/etc", "a//b", "a/../m", "a\nb" })
        {
            await FluentActions.Awaiting(() => store.OpenAsync(path).DefaultTimeout()).Should().ThrowAsync<ArgumentException>();
        }

        _models.Add("m", 17 * MiB);
        (await FailureAsync(store, "m")).Fault.Should().Be(ModelStoreFault.NoRoom, "models may have 16 MiB");
    }

    [Fact]
    public async Task Models_EvictEachOther_ButNeverOneThatIsOpen_AndPoolsKeepTheirShare()
    {
        var (a, b) = (_models.Add("a", 9 * MiB), _models.Add("b", (9 * MiB) - 1));
        using var daemon = await StartAsync();
        var store = Client();
        using (var model = await store.OpenAsync("a").DefaultTimeout())
        {
            (await FailureAsync(store, "b")).Should().Match<ModelStoreException>(e => e.Fault == ModelStoreFault.NoRoom && e.IsTransient);
            RentAll(_folder.CreatePool(capacityBytes: 16 * MiB)).Should().Be(16 * MiB, "models have not taken what is kept for leases");
            BytesOf(model, "rest").SequenceEqual(a.AsSpan(1000)).Should().BeTrue();
        }

        using var other = await store.OpenAsync("b").DefaultTimeout();

        BytesOf(other, "rest").SequenceEqual(b.AsSpan(1000)).Should().BeTrue();
        (await JsonAsync("list", "--json")).EnumerateArray().Select(model => model.GetProperty("state").GetString()).Should().Equal("registered", "loaded");
    }

    [Fact]
    public async Task SharedCapacity_ALeaseThatNeedsRoom_EvictsAModelThatNobodyHasOpen()
    {
        _models.Add("a", 20 * MiB);
        var config = Path.Combine(_folder.Folder, "config.json");
        await File.WriteAllTextAsync(config, """{ "PoolServer": { "ModelFloorBytes": "4MiB", "PoolFloorBytes": "4MiB", "WarmBytes": 0 } }""");
        using var daemon = await StartAsync("--config", config);
        await RunAsync("load", "--model", "a");

        RentAll(_folder.CreatePool(capacityBytes: 24 * MiB)).Should().Be(24 * MiB);

        (await JsonAsync("list", "--json"))[0].GetProperty("state").GetString().Should().Be("registered");
    }

    [Fact]
    public async Task DaemonIsKilled_WhatIsOpenStaysReadable_AndTheNextOneServesAnew()
    {
        var data = _models.Add("m", 3 * MiB);
        var daemon = await StartAsync();
        var store = Client();
        var model = await store.OpenAsync("m").DefaultTimeout();

        await daemon.Process.KillAsync();
        daemon.Dispose();
        BytesOf(model, "rest").SequenceEqual(data.AsSpan(1000)).Should().BeTrue();
        using var next = await StartAsync();
        using var again = await OpenWhenBackAsync(store, "m");

        BytesOf(again, "rest").SequenceEqual(data.AsSpan(1000)).Should().BeTrue();
        BytesOf(model, "rest").SequenceEqual(data.AsSpan(1000)).Should().BeTrue();
        (await JsonAsync("list", "--json"))[0].GetProperty("users").GetInt32().Should().Be(1, "the new daemon knows what was opened with it");
        model.Dispose();
        (await JsonAsync("list", "--json"))[0].GetProperty("users").GetInt32().Should().Be(1);
    }

    [Fact]
    public async Task U2_Unload_WhileOthersLoad_WaitsForNobody()
    {
        _models.Add("a", 3 * MiB);
        _models.Add("b", 3 * MiB);
        using var daemon = await StartAsync();
        await RunAsync("load", "--model", "a");

        // Both at a time, and the daemon answers others meanwhile.
        await Task.WhenAll(RunAsync("load", "--model", "b"), RunAsync("unload", "--model", "a"), RunAsync("status")).DefaultTimeout();

        (await JsonAsync("list", "--json")).EnumerateArray().Select(model => model.GetProperty("state").GetString()).Should().Equal("registered", "loaded");
    }

    private static async Task<ModelHandle> OpenWhenBackAsync(IModelStore store, string model)
    {
        ModelHandle? handle = null;
        await UntilAsync(async () =>
        {
            try
            {
                handle = await store.OpenAsync(model);
                return true;
            }
            catch (PoolServerUnavailableException)
            {
                return false;
            }
        });
        return handle!;
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!await condition())
        {
            await Task.Delay(10, deadline.Token);
        }
    }

    private static async Task<ModelStoreException> FailureAsync(IModelStore store, string model) =>
        (await FluentActions.Awaiting(() => store.OpenAsync(model).DefaultTimeout()).Should().ThrowAsync<ModelStoreException>()).Which;

    private static unsafe ReadOnlySpan<byte> BytesOf(ModelHandle model, string tensor)
    {
        var info = model.Tensors[tensor];
        return new ReadOnlySpan<byte>((byte*)model.Address + info.OffsetBytes, checked((int)info.LengthBytes));
    }

    /// <summary>Rents slab after slab until the pool's capacity is out, or a rent is refused; gives all back.</summary>
    private static long RentAll(IPinnedMemoryPool pool)
    {
        var leases = new List<PinnedLease>();
        while (leases.Count * 2L * MiB < pool.GetSnapshot().CapacityBytes)
        {
            leases.Add(pool.Rent(2 * MiB));
        }

        var rented = pool.GetSnapshot().ReservedBytes;
        leases.ForEach(lease => lease.Dispose());
        return rented;
    }

    private static string ProtectionOf(nint address) => File.ReadLines("/proc/self/maps")
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Single(parts => parts[0].Split('-').Select(text => long.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToArray() is [var start, var end]
            && start <= address && address < end)[1];

    private IModelStore Client(string? endPoint = null)
    {
        var services = new ServiceCollection();
        services.AddServerModelStore(o => (o.EndPoint, o.ReconnectInterval) = (endPoint ?? $"pipe://{_folder.Socket}", TimeSpan.FromMilliseconds(20)));
        services.AddGrpcPoolTransport();
        var provider = services.BuildServiceProvider();
        _clients.Add(provider);
        return provider.GetRequiredService<IModelStore>();
    }

    private async Task<RunningDaemon> StartAsync(params string[] arguments)
    {
        if (!arguments.Contains("--config"))
        {
            var config = Path.Combine(_folder.Folder, "grpc.json");
            await File.WriteAllTextAsync(config, $$"""{ "PoolServer": { "EndPoints": [ "grpc+unix://{{_folder.Socket}}.grpc", "grpc://127.0.0.1:0" ] } }""");
            arguments = [.. arguments, "--config", config];
        }

        var (process, line) = await DaemonProcess.StartReadyAsync(_folder.Socket, ["--storage-path", _models.Path, "--mem-pool-size", "16MB", .. arguments]);
        return new RunningDaemon(process, line.Split(' ').Single(part => part.StartsWith("grpc://", StringComparison.Ordinal)));
    }

    private async Task<string> RunAsync(params string[] arguments)
    {
        var (exitCode, output, error) = await DaemonProcess.RunAsync([.. arguments, "--socket", _folder.Socket]);
        exitCode.Should().Be(0, error);
        return output;
    }

    private async Task<JsonElement> JsonAsync(params string[] arguments) => JsonDocument.Parse(await RunAsync(arguments)).RootElement;

    private sealed record RunningDaemon(DaemonProcess Process, string Tcp) : IDisposable
    {
        public void Dispose() => Process.Dispose();
    }
}
