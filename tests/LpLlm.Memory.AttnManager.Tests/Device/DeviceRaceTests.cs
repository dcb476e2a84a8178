namespace LpLlm.Memory.Attention.Tests;

/// <summary>
/// The order of the device's work, made to fail: with a wait or a fence left out the numbers are wrong, and the same comparison that the
/// other tests make finds it. The schedule is forced, not hoped for.
/// </summary>
public class DeviceRaceTests : DeviceTestBase
{
    private static readonly Tokens Input = Tokens.Random(1, 20, 4, Shape);
    private static readonly float[] Expected = Oracle.Attend(Input, 20);

    private readonly TaskCompletionSource _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, false)]
    [InlineData(true, true)]
    [InlineData(false, true)]
    public async Task P2_ProducerIsLate_OnlyAManagerThatDoesNotWaitForItReadsTooEarly(bool byEvent, bool leaveTheWaitOut)
    {
        var manager = CreateManager();
        var tensors = Allocate(manager.CreateCache(Shape).CreateSequence(), Input);
        var producer = Keep(Device.CreateStream());

        // The inputs are made when the manager's stream comes to its wait; if it has none, when it copies the queries.
        Device.Running = async operation =>
        {
            if (operation.StreamHandle == producer.Handle)
            {
                await _gate.Task;
            }
            else if (operation.Kind == SimulatedOperationKind.Wait || operation.DeviceAddress == tensors.Result.Address)
            {
                _gate.TrySetResult();
            }
        };
        Device.DropsWaits = leaveTheWaitOut;
        tensors.EnqueueUpload(producer);
        var ready = producer.Record();

        var fence = await manager.SubmitAsync(tensors.Request(byEvent ? ready.EventHandle : null, byEvent ? null : producer.Handle))
            .WaitAsync(Deadline);
        await fence.WaitAsync().AsTask().WaitAsync(Deadline);
        await ready.WaitAsync().AsTask().WaitAsync(Deadline);

        ShouldBeRight(await DownloadAsync(tensors), !leaveTheWaitOut);
    }

    [Fact]
    public async Task P3_CopiesAreLate_AManagerThatDoesNotWaitForThemComputesFromNothing()
    {
        var manager = CreateManager();
        var tensors = await UploadAsync(manager.CreateCache(Shape).CreateSequence(), Input);
        Pool.KeepsReturnedMemory = true; // the copies will write to blocks that went back long ago
        Device.Running = operation => operation.Kind == SimulatedOperationKind.CopyToHost ? _gate.Task : Task.CompletedTask;
        Device.CompletesFencesEarly = true;

        await manager.SubmitAsync(tensors.Request()).WaitAsync(Deadline);

        Device.CompletesFencesEarly = false;
        await TestTimeouts.UntilAsync(() => Device.Executed.Any(operation => operation.DeviceAddress == tensors.Result.Address));
        _gate.SetResult();
        await DrainAsync();
        ShouldBeRight(await DownloadAsync(tensors), right: false);
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, false)]
    [InlineData(true, true)]
    [InlineData(false, true)]
    public async Task P4_ResultIsLate_OnlyAConsumerThatIsNotOrderedBehindItReadsTooEarly(bool byEvent, bool leaveTheWaitOut)
    {
        var manager = CreateManager();
        var tensors = await UploadAsync(manager.CreateCache(Shape).CreateSequence(), Input);
        var consumer = Keep(Device.CreateStream());
        Device.Running = async operation =>
        {
            if (operation.Kind == SimulatedOperationKind.CopyToDevice)
            {
                await _gate.Task;
            }
            else if (operation.StreamHandle == consumer.Handle
                && operation.Kind is SimulatedOperationKind.Wait or SimulatedOperationKind.Record)
            {
                _gate.TrySetResult();
            }
        };
        Device.DropsWaits = leaveTheWaitOut;

        var fence = await manager.SubmitAsync(tensors.Request(consumer: byEvent ? null : consumer.Handle)).WaitAsync(Deadline);
        if (byEvent)
        {
            consumer.WaitForEvent(fence.EventHandle);
        }

        tensors.EnqueueDownload(consumer);
        await consumer.Record().WaitAsync().AsTask().WaitAsync(Deadline);

        ShouldBeRight(tensors.ReadResult(), !leaveTheWaitOut);
        await fence.WaitAsync().AsTask().WaitAsync(Deadline);
    }

    [Fact]
    public async Task P4_ResultIsLate_ItsBlockGoesBackBehindTheFence()
    {
        var manager = CreateManager();
        var tensors = await UploadAsync(manager.CreateCache(Shape).CreateSequence(), Input);
        Device.Running = operation => operation.Kind == SimulatedOperationKind.CopyToDevice ? _gate.Task : Task.CompletedTask;

        var fence = await manager.SubmitAsync(tensors.Request()).WaitAsync(Deadline);

        fence.IsCompleted.Should().BeFalse();
        Pool.LastFence.Should().BeSameAs(fence);
        _gate.SetResult();
        await fence.WaitAsync().AsTask().WaitAsync(Deadline);
    }

    private static void ShouldBeRight(float[] actual, bool right)
    {
        var compare = () => actual.ShouldMatch(Expected);
        if (right)
        {
            compare.Should().NotThrow();
        }
        else
        {
            compare.Should().Throw<Exception>("what was read too early is NaN").WithMessage("*element*");
        }
    }
}
