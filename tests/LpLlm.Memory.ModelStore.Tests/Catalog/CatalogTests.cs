using LpLlm.Memory.TestKit;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Models;

/// <summary>What each call answers, one at a time.</summary>
public sealed class CatalogTests : IAsyncLifetime
{
    private readonly FakeDisk _disk = new();
    private readonly NativeModelMemory _memory = new() { CapacityBytes = 3 << 20 };
    private ModelCatalog _catalog = null!;

    public Task InitializeAsync()
    {
        _catalog = New();
        foreach (var model in new[] { "a", "b", "c", "d" })
        {
            _disk.Add(model, 1 << 20);
        }

        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        await _catalog.DisposeAsync();
        _memory.LiveCount.Should().Be(0);
        _disk.OpenFiles.Should().Be(0);
    }

    [Fact]
    public async Task Register_Again_KeepsTheLengthItHad()
    {
        (await _catalog.RegisterAsync("a")).Should().Be(1 << 20);
        _disk.Add("a", 5);

        (await _catalog.RegisterAsync("a")).Should().Be(1 << 20);
        _catalog.Find("a")!.State.Should().Be(ModelState.Registered);
    }

    [Fact]
    public async Task Register_NoSuchModel_NotFoundAndNothingKept()
    {
        (await Faults.OfAsync(() => _catalog.RegisterAsync("none").AsTask())).Should().Be(ModelStoreFault.NotFound);
        _catalog.List().Should().BeEmpty();
    }

    [Theory]
    [InlineData("../a")]
    [InlineData("/etc")]
    [InlineData("")]
    [InlineData("a/../../b")]
    public async Task U9_AnyCall_PathThatLeadsOut_ArgumentException(string path)
    {
        await ((Func<Task>)(() => _catalog.RegisterAsync(path).AsTask())).Should().ThrowAsync<ArgumentException>();
        await ((Func<Task>)(() => _catalog.LoadAsync(path, RentPriority.Normal))).Should().ThrowAsync<ArgumentException>();
        await ((Func<Task>)(() => _catalog.UseAsync(path).AsTask())).Should().ThrowAsync<ArgumentException>();
        await ((Func<Task>)(() => _catalog.UnloadAsync(path).AsTask())).Should().ThrowAsync<ArgumentException>();
        await ((Func<Task>)(() => _catalog.ConfirmAsync(path))).Should().ThrowAsync<ArgumentException>();
    }

    [Fact]
    public async Task Load_RegistrationRequired_NotFoundUntilRegisteredAndAgainAfterClear()
    {
        await using var catalog = New(registrationRequired: true);

        (await Faults.OfAsync(() => catalog.LoadAsync("a", RentPriority.Normal))).Should().Be(ModelStoreFault.NotFound);
        await catalog.RegisterAsync("a");
        (await Faults.OfAsync(() => catalog.LoadAsync("a", RentPriority.Normal))).Should().BeNull();
        await catalog.ClearAsync();
        (await Faults.OfAsync(() => catalog.LoadAsync("a", RentPriority.Normal))).Should().Be(ModelStoreFault.NotFound);
    }

    [Fact]
    public async Task Load_LoadedModel_ReadsNothing()
    {
        await _catalog.LoadAsync("a", RentPriority.Normal).DefaultTimeout();
        var reads = _disk.Reads;

        await _catalog.LoadAsync("a", RentPriority.Normal).DefaultTimeout();

        _disk.Reads.Should().Be(reads);
        _catalog.Find("a").Should().BeEquivalentTo(
            new { State = ModelState.Loaded, LengthBytes = 1L << 20, LoadedBytes = 1L << 20, UseCount = 0, IsRegistered = true });
    }

    [Fact]
    public async Task Use_ModelSavedAnewAfterItWasRegistered_IsTheNewOne()
    {
        await _catalog.RegisterAsync("a");
        _disk.Add("a", 500_000);

        using var use = await _catalog.UseAsync("a").DefaultTimeout();

        use.LengthBytes.Should().Be(500_000);
        FakeDisk.IsIn("a", use).Should().BeTrue();
        (await _catalog.RegisterAsync("a")).Should().Be(500_000);
    }

    [Fact]
    public async Task Unload_InUse_RefusesUntilTheLastUseEnds()
    {
        var first = await _catalog.UseAsync("a").DefaultTimeout();
        var second = await _catalog.UseAsync("a").DefaultTimeout();
        first.Dispose();
        first.Dispose();

        (await Faults.OfAsync(() => _catalog.UnloadAsync("a").AsTask())).Should().Be(ModelStoreFault.InUse);
        second.Dispose();
        (await Faults.OfAsync(() => _catalog.UnloadAsync("a").AsTask())).Should().BeNull();
        (await Faults.OfAsync(() => _catalog.UnloadAsync("a").AsTask())).Should().Be(ModelStoreFault.NotFound);
        _memory.LiveCount.Should().Be(0);
        _catalog.Find("a")!.State.Should().Be(ModelState.Registered, "unloading keeps the registration");
    }

    [Fact]
    public async Task U8_ClearThenLoadUnderPressure_EvictsWithoutATrace()
    {
        await _catalog.LoadAsync("a", RentPriority.Normal).DefaultTimeout();
        await _catalog.LoadAsync("b", RentPriority.Normal).DefaultTimeout();
        await _catalog.ClearAsync().DefaultTimeout();
        _catalog.List().Should().BeEmpty();

        foreach (var model in new[] { "c", "d", "b", "a" })
        {
            await _catalog.LoadAsync(model, RentPriority.Normal).DefaultTimeout();
        }

        _catalog.Find("c")!.State.Should().Be(ModelState.Registered, "the least recently used one made room");
        _catalog.List().Count(status => status.State == ModelState.Loaded).Should().Be(3);
    }

    [Fact]
    public async Task Clear_ModelInUse_StaysUntilItIsEvicted()
    {
        using (var use = await _catalog.UseAsync("a").DefaultTimeout())
        {
            await _catalog.ClearAsync().DefaultTimeout();
            FakeDisk.IsIn("a", use).Should().BeTrue();
            _catalog.Find("a").Should().BeEquivalentTo(new { IsRegistered = false, State = ModelState.Loaded });
        }

        _catalog.Evict(1).Should().Be(1 << 20);
        _catalog.List().Should().BeEmpty();
    }

    [Fact]
    public async Task Load_NoRoomButUsedModels_NoRoomAndTheyStay()
    {
        using var a = await _catalog.UseAsync("a").DefaultTimeout();
        using var b = await _catalog.UseAsync("b").DefaultTimeout();
        using var c = await _catalog.UseAsync("c").DefaultTimeout();

        (await Faults.OfAsync(() => _catalog.LoadAsync("d", RentPriority.Normal))).Should().Be(ModelStoreFault.NoRoom);

        FakeDisk.IsIn("a", a).Should().BeTrue();
        _catalog.Find("d")!.State.Should().Be(ModelState.Failed);
        (await Faults.OfAsync(() => _catalog.ConfirmAsync("d"))).Should().Be(ModelStoreFault.NoRoom);
        b.Dispose();
        (await Faults.OfAsync(() => _catalog.LoadAsync("d", RentPriority.Normal))).Should().BeNull();
    }

    [Fact]
    public async Task Load_NeverFits_EvictsNobody()
    {
        await using var catalog = new ModelCatalog(
            Catalogs.Settings("/models"), new PoolModelMemory(new FakePool(capacityBytes: 2 << 20)), _disk, TimeProvider.System, NullLogger.Instance);
        _disk.Add("huge", 3 << 20);
        await catalog.LoadAsync("a", RentPriority.Normal).DefaultTimeout();

        (await Faults.OfAsync(() => catalog.LoadAsync("huge", RentPriority.Normal))).Should().Be(ModelStoreFault.NoRoom);

        catalog.Find("a")!.State.Should().Be(ModelState.Loaded);
    }

    [Fact]
    public async Task Evict_LeastRecentlyUsedFirst_DownToTheFloor()
    {
        await using var catalog = New(floorBytes: 1 << 20);
        foreach (var model in new[] { "a", "b", "c" })
        {
            await catalog.LoadAsync(model, RentPriority.Normal).DefaultTimeout();
        }

        (await catalog.UseAsync("a").DefaultTimeout()).Dispose();

        catalog.Evict(1).Should().Be(1 << 20);
        catalog.List().Where(status => status.State == ModelState.Loaded).Select(status => status.Model).Should().Equal("a", "c");
        catalog.Evict(long.MaxValue).Should().Be(1 << 20, "the floor is left");
        catalog.List().Where(status => status.State == ModelState.Loaded).Select(status => status.Model).Should().Equal("a");
    }

    [Fact]
    public async Task GetTensors_DamagedIndex_FailsWithoutTheData()
    {
        _disk.Tensors = model => throw new ModelStoreException(ModelStoreFault.Damaged, model, "no index.");
        using var use = await _catalog.UseAsync("a").DefaultTimeout();

        (await Faults.OfAsync(() => use.GetTensorsAsync())).Should().Be(ModelStoreFault.Damaged);
        FakeDisk.IsIn("a", use).Should().BeTrue();
    }

    [Fact]
    public async Task AnyCall_AfterDispose_ObjectDisposedException()
    {
        await _catalog.DisposeAsync();
        await _catalog.DisposeAsync();

        await ((Func<Task>)(() => _catalog.LoadAsync("a", RentPriority.Normal))).Should().ThrowAsync<ObjectDisposedException>();
        await ((Func<Task>)(() => _catalog.RegisterAsync("a").AsTask())).Should().ThrowAsync<ObjectDisposedException>();
    }

    [Fact]
    public async Task Dispose_ModelInUse_KeepsItsMemoryUntilTheUseEnds()
    {
        var use = await _catalog.UseAsync("a").DefaultTimeout();

        await _catalog.DisposeAsync();

        FakeDisk.IsIn("a", use).Should().BeTrue();
        use.Dispose();
        _memory.LiveCount.Should().Be(0);
    }

    [Fact]
    public async Task Load_FailsAgainAndAgain_TheLogTellsOnceASecondAndTheCallersEachTime()
    {
        var (time, logger) = (new ManualTimeProvider(), new CollectingLogger());
        await using var catalog = New(time: time, logger: logger);
        _disk.CutBytes = 1;

        for (var i = 0; i < 5; i++)
        {
            (await Faults.OfAsync(() => catalog.LoadAsync("a", RentPriority.Normal))).Should().Be(ModelStoreFault.Damaged);
        }

        logger.Entries.Where(entry => entry.Id == 1301).Should().ContainSingle();
        time.Advance(TimeSpan.FromSeconds(1));
        await Faults.OfAsync(() => catalog.LoadAsync("b", RentPriority.Normal));
        logger.Entries.Where(entry => entry.Id == 1301).Should().HaveCount(2).And.Subject.Last().Message.Should().Contain("'b'");
    }

    private ModelCatalog New(bool registrationRequired = false, long floorBytes = 0, TimeProvider? time = null, ILogger? logger = null) => new(
        Catalogs.Settings("/models", registrationRequired: registrationRequired, floorBytes: floorBytes),
        _memory, _disk, time ?? TimeProvider.System, logger ?? NullLogger.Instance);
}
