namespace LpLlm.Memory.Attention.Tests;

/// <summary>The three stages: that they overlap, keep their order, and hold no thread.</summary>
public class DevicePipelineTests : DeviceTestBase
{
    private static readonly Tokens Input = Tokens.Random(1, 20, 4, Shape);

    [Fact]
    public async Task Submit_ThreeRequests_AreInTheirThreeStagesAtTheSameTime()
    {
        var manager = CreateManager();
        var cache = manager.CreateCache(Shape);
        var tensors = new DeviceTensors[3];
        for (var i = 0; i < 3; i++)
        {
            tensors[i] = await UploadAsync(cache.CreateSequence(), Input);
        }

        var (copyingOut, computing, copyingIn) = (new StageGate(), new StageGate(), new StageGate());
        Device.Running = operation =>
            operation.DeviceAddress == tensors[0].Result.Address ? copyingOut.PassAsync()
            : operation.DeviceAddress == tensors[2].Query.Address ? copyingIn.PassAsync()
            : Task.CompletedTask;

        var first = await manager.SubmitAsync(tensors[0].Request()).WaitAsync(Deadline);
        await copyingOut.Entered.WaitAsync(Deadline);
        var blocks = 0;
        Pool.Renting = bytes =>
        {
            // Of the second request's blocks the first takes its inputs; the other is rented by its computation.
            if (bytes != cache.PageBytes && ++blocks == 2)
            {
                computing.PassAsync().WaitAsync(Deadline).GetAwaiter().GetResult();
            }
        };
        var second = manager.SubmitAsync(tensors[1].Request());
        await computing.Entered.WaitAsync(Deadline);
        var third = manager.SubmitAsync(tensors[2].Request());
        await copyingIn.Entered.WaitAsync(Deadline);

        // All three have been seen at work, and none of them has got on.
        first.IsCompleted.Should().BeFalse();
        second.IsCompleted.Should().BeFalse();
        third.IsCompleted.Should().BeFalse();
        Device.Executed.Should().NotContain(operation => operation.DeviceAddress == tensors[0].Result.Address);

        computing.Open();
        copyingIn.Open();
        copyingOut.Open();
        foreach (var (fence, i) in new[] { (first, 0), (await second.WaitAsync(Deadline), 1), (await third.WaitAsync(Deadline), 2) })
        {
            await fence.WaitAsync().AsTask().WaitAsync(Deadline);
            (await DownloadAsync(tensors[i])).ShouldMatch(Oracle.Attend(Input, 20));
        }
    }

    [Fact]
    public async Task Submit_P11_RequestsInFlight_ReachTheDeviceInTheirOrder()
    {
        var manager = CreateManager(options => options.QueueLength = 3);
        var cache = manager.CreateCache(Shape);
        var tokens = Enumerable.Range(0, 20).Select(i => Tokens.Random(i, i + 1, 4, Shape)).ToArray();
        var tensors = new List<DeviceTensors>();
        foreach (var each in tokens)
        {
            tensors.Add(await UploadAsync(cache.CreateSequence(), each));
        }

        var before = Device.Executed.Count;
        var fences = await Task.WhenAll(tensors.Select(each => manager.SubmitAsync(each.Request()))).WaitAsync(Deadline);
        await fences[^1].WaitAsync().AsTask().WaitAsync(Deadline);

        fences.Should().OnlyContain(fence => fence.IsCompleted, "they are of one stream");
        Device.Executed.Skip(before).Where(operation => operation.Kind == SimulatedOperationKind.CopyToDevice)
            .Select(operation => operation.DeviceAddress).Should().Equal(tensors.Select(each => each.Result.Address));
        for (var i = 0; i < tokens.Length; i++)
        {
            (await DownloadAsync(tensors[i])).ShouldMatch(Oracle.Attend(tokens[i], i + 1));
        }
    }

    [Fact]
    public async Task Submit_LinkBackIsStuck_HoldsTheStagesAheadBackInsteadOfFillingThePool()
    {
        var manager = CreateManager();
        var cache = manager.CreateCache(Shape);
        var gate = new StageGate();
        var results = new HashSet<nint>();
        Device.Running = operation => results.Contains(operation.DeviceAddress) ? gate.PassAsync() : Task.CompletedTask;
        var tensors = new List<DeviceTensors>();
        for (var i = 0; i < 10; i++)
        {
            tensors.Add(await UploadAsync(cache.CreateSequence(), Input));
        }

        results.UnionWith(tensors.Select(each => each.Result.Address));
        var tasks = tensors.Select(each => manager.SubmitAsync(each.Request())).ToArray();
        await Task.WhenAll(tasks[0], tasks[1]).WaitAsync(Deadline);

        // Two results are under way; of the others two wait with a result's block and two with their inputs. Each sequence has two pages.
        await TestTimeouts.UntilAsync(() =>
            Pool.LiveLeases == (6 * 2) + 4 && Device.Executed.Any(operation => operation.DeviceAddress == tensors[5].Query.Address));
        tasks.Skip(2).Should().OnlyContain(task => !task.IsCompleted);
        Device.Executed.Should().NotContain(operation => operation.Kind == SimulatedOperationKind.CopyToHost
            && operation.DeviceAddress == tensors[6].Query.Address);
        gate.Open();
        foreach (var fence in await Task.WhenAll(tasks).WaitAsync(Deadline))
        {
            await fence.WaitAsync().AsTask().WaitAsync(Deadline);
        }
    }
}
