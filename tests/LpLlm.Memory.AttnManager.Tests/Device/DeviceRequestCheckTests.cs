namespace LpLlm.Memory.Attention.Tests;

/// <summary>Misuse of device requests faults the task, touches no sequence, rents nothing and asks nothing of the device.</summary>
public class DeviceRequestCheckTests : DeviceTestBase
{
    private static readonly AttnDeviceTensor Queries = new(4096, 32);
    private static readonly AttnDeviceTensor Keys = new(4096, 16);

    [Fact]
    public Task Submit_NoAddress_Throws() => ShouldFail("Key has no address*", key: Keys with { Address = 0 });

    [Fact]
    public Task Submit_UnknownElementType_Throws() =>
        ShouldFail("Value has ElementType = 9, not one of Float32, Float16, BFloat16*", value: Keys with { ElementType = (KvElementType)9 });

    [Fact]
    public Task Submit_WrongQueryLength_Throws() =>
        ShouldFail("Query has 33 elements; 1 tokens * 4 heads * head dimension 8 are 32*", query: Queries with { ElementCount = 33 });

    [Fact]
    public Task Submit_WrongKeyLength_Throws() => ShouldFail("Key has 15 elements*are 16*", key: Keys with { ElementCount = 15 });

    [Fact]
    public Task Submit_WrongValueLength_Throws() => ShouldFail("Value has 17 elements*are 16*", value: Keys with { ElementCount = 17 });

    [Fact]
    public Task Submit_WrongResultLength_Throws() => ShouldFail("Result has -1 elements*are 32*", result: Queries with { ElementCount = -1 });

    [Fact]
    public async Task Submit_SequenceTooLong_IsRefusedBeforeAnythingIsCopied()
    {
        var manager = CreateManager();
        var shape = new KvCacheShape { LayerCount = 1, KvHeadCount = 1, HeadDim = 1 };
        var all = new AttnDeviceTensor(4096, (1L << 30) + 1);
        var request = new AttnDeviceRequest
        {
            Layer = 0,
            QueryHeadCount = 1,
            Rows = [new AttnRow(manager.CreateCache(shape).CreateSequence(), (1 << 30) + 1)],
            Query = all,
            Key = all,
            Value = all,
            Result = all,
        };

        var act = () => manager.SubmitAsync(request).WaitAsync(Deadline);

        (await act.Should().ThrowAsync<ArgumentException>()).WithMessage("*longest sequence, 1073741824 tokens*");
        Device.LastOrdinal.Should().Be(0);
    }

    [Fact]
    public async Task Submit_NullRequest_Throws() => await FluentActions
        .Awaiting(() => CreateManager().SubmitAsync((AttnDeviceRequest)null!).WaitAsync(Deadline)).Should().ThrowAsync<ArgumentNullException>();

    [Fact]
    public async Task Submit_ManagerOnTheCpu_ThrowsWithTheRemedy()
    {
        await using var manager = new AttnManager(Pool, new AttnManagerOptions());
        var sequence = manager.CreateCache(Shape).CreateSequence();

        var act = () => manager.SubmitAsync(Request(sequence)).WaitAsync(Deadline);

        (await act.Should().ThrowAsync<InvalidOperationException>()).WithMessage("Device = 'cpu'*set Device to*");
        manager.Device.Should().BeNull();
    }

    private async Task ShouldFail(
        string message, AttnDeviceTensor? query = null, AttnDeviceTensor? key = null, AttnDeviceTensor? value = null, AttnDeviceTensor? result = null)
    {
        var manager = CreateManager();
        var sequence = manager.CreateCache(Shape).CreateSequence();

        var task = manager.SubmitAsync(Request(sequence, query, key, value, result)); // does not throw: misuse is reported by the task

        await FluentActions.Awaiting(() => task.WaitAsync(Deadline)).Should().ThrowAsync<ArgumentException>().WithMessage(message);
        (Pool.TotalRents, Device.LastOrdinal, sequence.GetLength(0)).Should().Be((0, 0, 0));
        sequence.Invoking(each => each.Truncate(0)).Should().NotThrow("no request has it");
    }

    private static AttnDeviceRequest Request(
        IKvSequence sequence, AttnDeviceTensor? query = null, AttnDeviceTensor? key = null, AttnDeviceTensor? value = null, AttnDeviceTensor? result = null) =>
        new()
        {
            Layer = 0,
            QueryHeadCount = 4,
            Rows = [new AttnRow(sequence, 1)],
            Query = query ?? Queries,
            Key = key ?? Keys,
            Value = value ?? Keys,
            Result = result ?? Queries,
        };
}
