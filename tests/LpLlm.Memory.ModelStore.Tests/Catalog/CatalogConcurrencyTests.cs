using LpLlm.Memory.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Models;

/// <summary>Calls while a load runs: each test holds the reads where it needs them.</summary>
public sealed class CatalogConcurrencyTests : IAsyncLifetime, IDisposable
{
    private readonly FakeDisk _disk = new();
    private readonly NativeModelMemory _memory = new() { CapacityBytes = 2 << 20 };
    private readonly ReadGate _gate = new();
    private ModelCatalog _catalog = null!;

    public Task InitializeAsync()
    {
        _catalog = new ModelCatalog(Catalogs.Settings("/models"), _memory, _disk, TimeProvider.System, NullLogger.Instance);
        foreach (var model in new[] { "a", "b", "c" })
        {
            _disk.Add(model, 1 << 20);
        }

        _disk.Reading = _gate.Pass;
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        _gate.Open();
        await _catalog.DisposeAsync().DefaultTimeout();
        _memory.LiveCount.Should().Be(0);
        _memory.GuardBroken.Should().BeFalse();
        _disk.OpenFiles.Should().Be(0);
    }

    public void Dispose() => _gate.Dispose();

    [Fact]
    public async Task Load_ByMany_ReadsOnce()
    {
        var loads = Enumerable.Range(0, 20).Select(_ => _catalog.LoadAsync("a", RentPriority.Normal)).ToList();
        await _gate.Reached.DefaultTimeout();
        _catalog.Find("a")!.State.Should().Be(ModelState.Loading);
        _gate.Open();

        await Task.WhenAll(loads).DefaultTimeout();

        _memory.UsedBytes.Should().Be(1 << 20);
    }

    [Fact]
    public async Task U2_Unload_WhileLoading_WaitsForItsEndAndNoLonger()
    {
        var load = _catalog.LoadAsync("a", RentPriority.Normal);
        await _gate.Reached.DefaultTimeout();
        var unload = _catalog.UnloadAsync("a").AsTask();
        unload.IsCompleted.Should().BeFalse();
        _catalog.List().Should().ContainSingle("others are served meanwhile");
        _gate.Open();

        await unload.DefaultTimeout();
        await load.DefaultTimeout();

        _memory.LiveCount.Should().Be(0);
    }

    [Fact]
    public async Task U2_Clear_WhileLoading_WaitsForItsEndAndNoLonger()
    {
        var load = _catalog.LoadAsync("a", RentPriority.Normal);
        await _gate.Reached.DefaultTimeout();
        var clear = _catalog.ClearAsync().AsTask();
        clear.IsCompleted.Should().BeFalse();
        _gate.Open();

        await clear.DefaultTimeout();
        await load.DefaultTimeout();

        _memory.LiveCount.Should().Be(0);
        _catalog.List().Should().BeEmpty();
    }

    [Fact]
    public async Task U2_UnloadAndClear_Cancelled_StopWaiting()
    {
        using var patience = new CancellationTokenSource();
        var load = _catalog.LoadAsync("a", RentPriority.Normal);
        await _gate.Reached.DefaultTimeout();
        var unload = _catalog.UnloadAsync("a", patience.Token).AsTask();
        var clear = _catalog.ClearAsync(patience.Token).AsTask();
        await patience.CancelAsync();

        await ((Func<Task>)(() => unload.DefaultTimeout())).Should().ThrowAsync<OperationCanceledException>();
        await ((Func<Task>)(() => clear.DefaultTimeout())).Should().ThrowAsync<OperationCanceledException>();
        _gate.Open();
        await load.DefaultTimeout();
        _catalog.Find("a")!.State.Should().Be(ModelState.Loaded);
    }

    [Fact]
    public async Task U3_Confirm_UnknownOrNeverLoaded_AnswersAtOnce()
    {
        (await Faults.OfAsync(() => _catalog.ConfirmAsync("none"))).Should().Be(ModelStoreFault.NotFound);
        await _catalog.RegisterAsync("a");
        (await Faults.OfAsync(() => _catalog.ConfirmAsync("a"))).Should().Be(ModelStoreFault.NotFound);
    }

    [Fact]
    public async Task U3_Confirm_FailedLoad_TellsItsErrorEachTimeUntilANewLoad()
    {
        _disk.Reading = (_, _) => throw new IOException("Input/output error");
        var load = _catalog.LoadAsync("a", RentPriority.Normal);
        (await Faults.OfAsync(() => load)).Should().Be(ModelStoreFault.Unreadable);

        (await Faults.OfAsync(() => _catalog.ConfirmAsync("a"))).Should().Be(ModelStoreFault.Unreadable);
        (await Faults.OfAsync(() => _catalog.ConfirmAsync("a"))).Should().Be(ModelStoreFault.Unreadable);
        _disk.Reading = null;
        await _catalog.LoadAsync("a", RentPriority.Normal).DefaultTimeout();
        (await Faults.OfAsync(() => _catalog.ConfirmAsync("a"))).Should().BeNull();
    }

    [Fact]
    public async Task U9_Confirm_WhileLoading_WaitsAndGetsTheError()
    {
        _disk.Reading = (model, offset) =>
        {
            _gate.Pass(model, offset);
            throw new IOException("Input/output error");
        };
        var load = _catalog.LoadAsync("a", RentPriority.Normal);
        await _gate.Reached.DefaultTimeout();
        var confirm = _catalog.ConfirmAsync("a");
        confirm.IsCompleted.Should().BeFalse();
        _gate.Open();

        var failure = (await ((Func<Task>)(() => confirm.DefaultTimeout())).Should().ThrowAsync<ModelStoreException>()).Which;

        failure.Fault.Should().Be(ModelStoreFault.Unreadable);
        failure.Message.Should().Contain("tensor.data_0").And.Contain("Input/output error");
        (await Faults.OfAsync(() => load)).Should().Be(ModelStoreFault.Unreadable);
    }

    [Fact]
    public async Task U4_UseWhileLoading_WithoutALoadBefore_BeginsOneAndGetsEveryPiece()
    {
        using var use = await _catalog.UseWhileLoadingAsync("a").DefaultTimeout();
        use.Loaded.IsCompleted.Should().BeFalse();
        _gate.Open();

        var pieces = await use.Pieces.ReadAllAsync().ToListAsync().AsTask().DefaultTimeout();

        pieces.OrderBy(piece => piece.OffsetBytes).Aggregate(0L, (end, piece) => end == piece.OffsetBytes ? end + piece.LengthBytes : -1)
            .Should().Be(1 << 20, "all bytes come, each once");
        await use.Loaded.DefaultTimeout();
    }

    [Fact]
    public async Task U5_Load_AfterEviction_HasPiecesOfItsOwn()
    {
        _gate.Open();
        var before = await _catalog.UseAsync("a").DefaultTimeout();
        before.Dispose();
        _catalog.Evict(1).Should().BePositive();
        using var gate = new ReadGate();
        _disk.Reading = gate.Pass;

        using var use = await _catalog.UseWhileLoadingAsync("a").DefaultTimeout();

        use.Pieces.LoadedBytes.Should().Be(0, "nothing of this load has come, whatever came before");
        gate.Open();
        await use.Loaded.DefaultTimeout();
        FakeDisk.IsIn("a", use).Should().BeTrue();
    }

    [Fact]
    public async Task U5_Evict_WhileUsed_LeavesTheMemory()
    {
        _gate.Open();
        using var use = await _catalog.UseAsync("a").DefaultTimeout();

        _catalog.Evict(long.MaxValue).Should().Be(0);

        FakeDisk.IsIn("a", use).Should().BeTrue();
    }

    [Fact]
    public async Task U6_DiskError_WhileAConsumerWaitsForPieces_ReachesItAndKeepsItsMemory()
    {
        _disk.Reading = (model, offset) =>
        {
            _gate.Pass(model, offset);
            throw new IOException("Input/output error");
        };
        var use = await _catalog.UseWhileLoadingAsync("a").DefaultTimeout();
        var pieces = use.Pieces.ReadAllAsync().ToListAsync().AsTask();
        _gate.Open();

        (await Faults.OfAsync(() => pieces)).Should().Be(ModelStoreFault.Unreadable);
        (await Faults.OfAsync(() => use.Loaded)).Should().Be(ModelStoreFault.Unreadable);
        _memory.LiveCount.Should().Be(1, "a device may still copy from it");
        use.Dispose();
        _memory.LiveCount.Should().Be(0);
    }

    [Fact]
    public async Task Load_LastWaiterCancelled_EndsTheLoadAndTheNextBeginsAnew()
    {
        using var patience = new CancellationTokenSource();
        var load = _catalog.LoadAsync("a", RentPriority.Normal, patience.Token);
        await _gate.Reached.DefaultTimeout();
        await patience.CancelAsync();
        await ((Func<Task>)(() => load.DefaultTimeout())).Should().ThrowAsync<OperationCanceledException>();
        var next = _catalog.UseAsync("a").AsTask();
        _gate.Open();

        using var use = await next.DefaultTimeout();

        FakeDisk.IsIn("a", use).Should().BeTrue();
        _memory.LiveCount.Should().Be(1);
    }

    [Fact]
    public async Task Load_GivenUpAndAskedAfter_IsNotJoined()
    {
        using var patience = new CancellationTokenSource();
        using var impatience = new CancellationTokenSource();
        var load = _catalog.LoadAsync("a", RentPriority.Normal, patience.Token);
        await _gate.Reached.DefaultTimeout();
        await patience.CancelAsync();
        await ((Func<Task>)(() => load.DefaultTimeout())).Should().ThrowAsync<OperationCanceledException>();
        var first = _catalog.ConfirmAsync("a", impatience.Token);
        var second = _catalog.ConfirmAsync("a");
        await impatience.CancelAsync();
        await ((Func<Task>)(() => first.DefaultTimeout())).Should().ThrowAsync<OperationCanceledException>();
        var next = _catalog.LoadAsync("a", RentPriority.Normal);
        _gate.Open();

        await next.DefaultTimeout();

        (await Faults.OfAsync(() => second)).Should().Be(ModelStoreFault.NotFound, "that load was given up");
    }

    [Fact]
    public async Task Load_OneOfTwoWaitersCancelled_GoesOn()
    {
        using var patience = new CancellationTokenSource();
        var first = _catalog.LoadAsync("a", RentPriority.Normal, patience.Token);
        var second = _catalog.LoadAsync("a", RentPriority.Normal);
        await _gate.Reached.DefaultTimeout();
        await patience.CancelAsync();
        await ((Func<Task>)(() => first.DefaultTimeout())).Should().ThrowAsync<OperationCanceledException>();
        _gate.Open();

        await second.DefaultTimeout();

        _catalog.Find("a")!.State.Should().Be(ModelState.Loaded);
    }

    [Fact]
    public async Task Dispose_WhileLoading_EndsTheLoad()
    {
        var load = _catalog.LoadAsync("a", RentPriority.Normal);
        await _gate.Reached.DefaultTimeout();
        var dispose = _catalog.DisposeAsync().AsTask();
        _gate.Open();

        await dispose.DefaultTimeout();

        await ((Func<Task>)(() => load.DefaultTimeout())).Should().ThrowAsync<ObjectDisposedException>();
        _memory.LiveCount.Should().Be(0);
    }

    [Fact]
    public async Task Load_RoomThatIsOnItsWayBack_IsWaitedFor()
    {
        _gate.Open();
        using var releasing = new ReadGate();
        await _catalog.LoadAsync("a", RentPriority.Normal).DefaultTimeout();
        using var used = await _catalog.UseAsync("b").DefaultTimeout();
        _memory.Releasing = () => releasing.Pass("a", 0);
        var unload = Task.Run(() => _catalog.UnloadAsync("a").AsTask());
        await releasing.Reached.DefaultTimeout();
        var load = _catalog.LoadAsync("c", RentPriority.Normal);
        releasing.Open();

        await load.DefaultTimeout();
        await unload.DefaultTimeout();
        _memory.Releasing = null;

        _catalog.Find("c")!.State.Should().Be(ModelState.Loaded);
    }
}
