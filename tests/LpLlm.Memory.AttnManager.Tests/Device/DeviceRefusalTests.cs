namespace LpLlm.Memory.Attention.Tests;

/// <summary>P1 on a device: whatever step fails, the request's caller hears of it, nothing leaks, and the sequence is as it was.</summary>
public class DeviceRefusalTests : DeviceTestBase
{
    private static readonly Tokens All = Tokens.Random(1, 30, 4, Shape);

    // What one request of 20 tokens makes the manager enqueue: wait, queries, 4 copies each of keys and values, fence; result, fence.
    private const int StepsIn = 11;
    private const int Steps = 13;

    public static TheoryData<int> EveryStep() => [.. Enumerable.Range(1, Steps)];

    [Theory]
    [MemberData(nameof(EveryStep))]
    public async Task Submit_P1_AnyStepRefused_FailsRollsBackAndTheNextOneWorks(int step)
    {
        var manager = CreateManager();
        var cache = manager.CreateCache(Shape);
        var sequence = cache.CreateSequence();
        await AttendAsync(manager, sequence, All.Slice(0, 10));
        var (tensors, ready) = await PrepareAsync(sequence);
        Device.RefusedOperations.Add(Device.LastOrdinal + step);

        var act = () => manager.SubmitAsync(tensors.Request(ready.EventHandle)).WaitAsync(Deadline);

        (await act.Should().ThrowAsync<PinnedMemoryException>()).WithMessage("*told to be refused*");
        (sequence.GetLength(0), cache.PageCount, Pool.LiveLeases).Should().Be((10, 1, 1));
        var fence = await manager.SubmitAsync(tensors.Request(ready.EventHandle)).WaitAsync(Deadline);
        await fence.WaitAsync().AsTask().WaitAsync(Deadline);
        (await DownloadAsync(tensors)).ShouldMatch(Oracle.Attend(All, 20));
    }

    [Theory]
    [MemberData(nameof(EveryStep))]
    public async Task Submit_P1_AnyStepFails_ReachesTheCaller(int step)
    {
        var manager = CreateManager();
        var cache = manager.CreateCache(Shape);
        var sequence = cache.CreateSequence();
        await AttendAsync(manager, sequence, All.Slice(0, 10));
        var (tensors, ready) = await PrepareAsync(sequence);
        Device.FailingOperations.Add(Device.LastOrdinal + step);

        var act = async () =>
        {
            var fence = await manager.SubmitAsync(tensors.Request(ready.EventHandle)).WaitAsync(Deadline);
            step.Should().BeGreaterThan(StepsIn, "what fails on the way in fails the task");
            await fence.WaitAsync().AsTask().WaitAsync(Deadline);
        };

        (await act.Should().ThrowAsync<PinnedMemoryException>()).WithMessage("*told to fail*");
        sequence.GetLength(0).Should().Be(step > StepsIn ? 30 : 10, "only the result was lost on the way out");
        Pool.LiveLeases.Should().Be(step > StepsIn ? 2 : 1);
        await FluentActions.Awaiting(() => AttendAsync(manager, cache.CreateSequence(), All.Slice(0, 10)))
            .Should().ThrowAsync<PinnedMemoryException>("a device's failure is for good");
        (await manager.AttendAsync(cache.CreateSequence(), All)).ShouldMatch(Oracle.Attend(All, 30));
    }

    [Fact]
    public async Task Submit_P1_CopyFailed_SequenceStaysInUseAndItsPagesGoBackBehindTheFence()
    {
        var manager = CreateManager();
        var sequence = manager.CreateCache(Shape).CreateSequence();
        await AttendAsync(manager, sequence, All.Slice(0, 10));
        var (tensors, _) = await PrepareAsync(sequence);
        Device.FailingOperations.Add(Device.LastOrdinal + 2);
        await FluentActions.Awaiting(() => manager.SubmitAsync(tensors.Request()).WaitAsync(Deadline)).Should().ThrowAsync<PinnedMemoryException>();

        await FluentActions.Awaiting(() => manager.SubmitAsync(tensors.Request()).WaitAsync(Deadline))
            .Should().ThrowAsync<InvalidOperationException>().WithMessage("*dispose it*");
        FluentActions.Invoking(() => sequence.Truncate(0)).Should().Throw<InvalidOperationException>();
        sequence.Dispose();

        Pool.LastFence.Should().NotBeNull();
        Pool.LastFence!.IsCompleted.Should().BeFalse("the device may still write to the page");
        Pool.LiveLeases.Should().Be(0);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Submit_DeviceLost_EveryRequestInFlightFails(bool copying)
    {
        var manager = CreateManager();
        var cache = manager.CreateCache(Shape);
        var tensors = new[] { await UploadAsync(cache.CreateSequence(), All), await UploadAsync(cache.CreateSequence(), All) };
        var stage = new StageGate();
        using var computing = copying ? null : new RentGate(Pool, skip: 3); // two pages, the inputs, and then the result
        if (copying)
        {
            Device.Running = _ => stage.PassAsync();
        }

        var tasks = tensors.Select(each => manager.SubmitAsync(each.Request())).ToArray();
        await (computing?.Entered ?? stage.Entered).WaitAsync(Deadline);

        Device.Lose();
        computing?.Open();

        foreach (var task in tasks)
        {
            await FluentActions.Awaiting(() => task.WaitAsync(Deadline)).Should().ThrowAsync<PinnedMemoryException>();
        }

        cache.PageCount.Should().Be(0);
        Pool.LiveLeases.Should().Be(0);
    }

    [Fact]
    public void Create_DeviceRefusesItsStreams_Throws()
    {
        Device.Lose();

        FluentActions.Invoking(() => CreateManager()).Should().Throw<PinnedMemoryException>();
    }

    /// <summary>The 20 tokens behind the first 10, on the device, and an event behind them.</summary>
    private async Task<(DeviceTensors Tensors, IDeviceFence Ready)> PrepareAsync(IKvSequence sequence)
    {
        var tensors = await UploadAsync(sequence, All.Slice(10, 20));
        var ready = Keep(Device.CreateStream()).Record();
        await ready.WaitAsync().AsTask().WaitAsync(Deadline);
        return (tensors, ready);
    }
}
