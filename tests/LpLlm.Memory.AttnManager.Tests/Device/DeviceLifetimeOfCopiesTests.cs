namespace LpLlm.Memory.Attention.Tests;

/// <summary>Cancelling and disposing while the device is at work.</summary>
public class DeviceLifetimeOfCopiesTests : DeviceTestBase
{
    private static readonly Tokens Input = Tokens.Random(1, 20, 4, Shape);
    private readonly StageGate _gate = new();

    [Fact]
    public async Task Cancel_WhileCopying_EndsBehindTheCopiesAndTakesTheRequestBack()
    {
        var manager = CreateManager();
        var cache = manager.CreateCache(Shape);
        var sequence = cache.CreateSequence();
        var tensors = await UploadAsync(sequence, Input);
        using var cancellation = new CancellationTokenSource();
        Device.Running = _ => _gate.PassAsync();
        var task = manager.SubmitAsync(tensors.Request(), cancellation.Token);
        await _gate.Entered.WaitAsync(Deadline);

        await cancellation.CancelAsync();

        task.IsCompleted.Should().BeFalse("the device still reads the inputs and writes to the pages");
        _gate.Open();
        (await FluentActions.Awaiting(() => task.WaitAsync(Deadline)).Should().ThrowAsync<OperationCanceledException>())
            .Which.CancellationToken.Should().Be(cancellation.Token);
        (sequence.GetLength(0), cache.PageCount, Pool.LiveLeases).Should().Be((0, 0, 0));
        (await AttendAsync(manager, sequence, Input)).ShouldMatch(Oracle.Attend(Input, 20));
    }

    [Fact]
    public async Task Cancel_WhileComputing_IsComputed()
    {
        var manager = CreateManager();
        var tensors = await UploadAsync(manager.CreateCache(Shape).CreateSequence(), Input);
        using var cancellation = new CancellationTokenSource();
        using var computing = new RentGate(Pool, skip: 3);
        var task = manager.SubmitAsync(tensors.Request(), cancellation.Token);
        await computing.Entered;

        await cancellation.CancelAsync();
        computing.Open();

        await (await task.WaitAsync(Deadline)).WaitAsync(CancellationToken.None).AsTask().WaitAsync(Deadline);
        (await DownloadAsync(tensors)).ShouldMatch(Oracle.Attend(Input, 20));
    }

    [Fact]
    public async Task Dispose_WhileCopying_FinishesTheRequest()
    {
        var manager = CreateManager();
        var tensors = await UploadAsync(manager.CreateCache(Shape).CreateSequence(), Input);
        Device.Running = _ => _gate.PassAsync();
        var task = manager.SubmitAsync(tensors.Request());
        await _gate.Entered.WaitAsync(Deadline);

        var disposing = manager.DisposeAsync().AsTask();
        disposing.IsCompleted.Should().BeFalse();
        _gate.Open();
        await disposing.WaitAsync(Deadline);

        await (await task.WaitAsync(Deadline)).WaitAsync().AsTask().WaitAsync(Deadline);
        (await DownloadAsync(tensors)).ShouldMatch(Oracle.Attend(Input, 20));
        Time.ActiveTimers.Should().Be(0);
    }

    [Fact]
    public async Task Dispose_StuckStream_GivesUpAfterFiveSecondsAndReturnsMemoryBehindTheCopies()
    {
        var manager = CreateManager();
        var cache = manager.CreateCache(Shape);
        var tensors = await UploadAsync(cache.CreateSequence(), Input);
        var behind = await UploadAsync(cache.CreateSequence(), Input);
        Device.Running = _ => _gate.PassAsync();
        var tasks = new[] { manager.SubmitAsync(tensors.Request()), manager.SubmitAsync(behind.Request()) };
        await _gate.Entered.WaitAsync(Deadline);

        var disposing = manager.DisposeAsync().AsTask();
        Time.Advance(TimeSpan.FromMilliseconds(4_999));
        disposing.IsCompleted.Should().BeFalse();
        Time.Advance(TimeSpan.FromMilliseconds(1));
        await disposing.WaitAsync(Deadline);

        foreach (var task in tasks)
        {
            await FluentActions.Awaiting(() => task.WaitAsync(Deadline)).Should().ThrowAsync<ObjectDisposedException>();
        }

        Pool.LiveLeases.Should().Be(0);
        Pool.LastFence!.IsCompleted.Should().BeFalse("the pool keeps the memory until the device is done with it");
        _gate.Open();
        await DrainAsync();
    }

    [Fact]
    public async Task Dispose_ResultUnderWay_StillArrives()
    {
        var manager = CreateManager();
        var tensors = await UploadAsync(manager.CreateCache(Shape).CreateSequence(), Input);
        Device.Running = operation => operation.Kind == SimulatedOperationKind.CopyToDevice ? _gate.PassAsync() : Task.CompletedTask;
        var fence = await manager.SubmitAsync(tensors.Request()).WaitAsync(Deadline);

        await manager.DisposeAsync().AsTask().WaitAsync(Deadline);
        _gate.Open();
        await fence.WaitAsync().AsTask().WaitAsync(Deadline);

        (await DownloadAsync(tensors)).ShouldMatch(Oracle.Attend(Input, 20));
    }
}
