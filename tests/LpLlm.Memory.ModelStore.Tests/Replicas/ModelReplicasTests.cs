using LpLlm.Memory.TestKit;
using static LpLlm.Memory.Models.ReplicaHarness;

namespace LpLlm.Memory.Models;

/// <summary>Models in the device memory of clients.</summary>
public class ModelReplicasTests
{
    private const int Length = (500 * KiB) + 123;

    [Fact]
    public async Task U4_WithoutALoadBefore_TheModelIsLoadedAndCopied()
    {
        await using var sut = new ReplicaHarness();
        sut.Disk.Add("m", 300 * KiB, Length - (300 * KiB));
        using var buffer = sut.Client[0].Allocate(Length);

        await sut.StartAsync(sut.Request("m", "r", buffer, new ReplicaChunk(0, Length, 0, 0)));
        await sut.ConfirmAsync("m", "r");

        Holds(buffer, 0, "m", 0, Length).Should().BeTrue();
        sut.Catalog.Find("m")!.State.Should().Be(ModelState.Loaded);
        sut.Server[0].LiveBuffers.Should().Be(0, "the import is closed when the copy has ended");
    }

    [Fact]
    public async Task AnImportThatCannotBeClosed_DoesNotKeepTheOthersOpen()
    {
        await using var sut = new ReplicaHarness();
        sut.Disk.Add("m", Length);
        using var first = sut.Client[0].Allocate(1000);
        using var second = sut.Client[0].Allocate(1000);
        sut.Server[0].RefusedDisposals = 1;

        await sut.StartAsync(Request("m", "r", (sut.Client[0].Uuid, [first.Export(), second.Export()], [new ReplicaChunk(0, 1000, 0, 1)])));
        await sut.Awaiting(harness => harness.ConfirmAsync("m", "r")).Should().ThrowAsync<ModelStoreException>();

        sut.Server[0].LiveBuffers.Should().Be(0);
    }

    [Fact]
    public async Task U1_AHandleThatLeadsNowhere_IsWhatTheClientIsTold_AlsoWhereTheOthersCannotBeClosed()
    {
        await using var sut = new ReplicaHarness();
        sut.Disk.Add("m", Length);
        using var live = sut.Client[0].Allocate(1000);
        sut.Server[0].RefusedDisposals = 1;

        var request = Request("m", "r", (sut.Client[0].Uuid, [live.Export(), new byte[64]], [new ReplicaChunk(0, 1000, 0, 0)]));

        await sut.Awaiting(harness => harness.StartAsync(request)).Should().ThrowAsync<ArgumentException>().WithMessage("Handle 1 of device*");
    }

    [Fact]
    public async Task ALoadedModel_ComesToTwoDevicesAndSeveralAllocationsAtOnce()
    {
        await using var sut = new ReplicaHarness();
        sut.Disk.Add("m", Length);
        await sut.Catalog.LoadAsync("m", RentPriority.Normal);
        using var first = sut.Client[0].Allocate(Length);
        using var second = sut.Client[0].Allocate(1000);
        using var third = sut.Client[1].Allocate(Length);

        await sut.StartAsync(Request(
            "m",
            "r",
            (sut.Client[0].Uuid, [first.Export(), second.Export()],
                [new ReplicaChunk(7, 200_000, 100, 0), new ReplicaChunk(300_000, 1000, 0, 1), new ReplicaChunk(400_000, 0, 5, 1), new ReplicaChunk(7, 10, 300_000, 0)]),
            (sut.Client[1].Uuid.ToUpperInvariant(), [third.Export()], [new ReplicaChunk(0, Length, 0, 0)])));
        await sut.ConfirmAsync("m", "r");
        await sut.ConfirmAsync("m", "r");

        Holds(first, 100, "m", 7, 200_000).Should().BeTrue();
        Holds(first, 300_000, "m", 7, 10).Should().BeTrue("a tied tensor goes to two places");
        Bytes(first)[..100].IndexOfAnyExcept((byte)0xFF).Should().Be(-1, "nobody asked for these");
        Holds(second, 0, "m", 300_000, 1000).Should().BeTrue();
        Holds(third, 0, "m", 0, Length).Should().BeTrue();
        sut.Server[1].Executed.Where(step => step.IsCopy).Select(step => step.StreamHandle).Distinct().Should().HaveCount(2, "two streams a device");
    }

    [Fact]
    public async Task U10_PiecesGoToTheDeviceWhileTheDiskStillReads()
    {
        await using var sut = new ReplicaHarness();
        using var gate = new ReadGate();
        sut.Disk.Add("m", Length);
        sut.Disk.Reading = (model, offset) =>
        {
            if (offset >= 256 * KiB)
            {
                gate.Pass(model, offset);
            }
        };
        using var buffer = sut.Client[0].Allocate(Length);

        await sut.StartAsync(sut.Request("m", "r", buffer, new ReplicaChunk(0, Length, 0, 0)));
        await TestTimeouts.UntilAsync(() => sut.Server[0].Executed.Where(step => step.IsCopy).Sum(step => step.LengthBytes) == 256 * KiB);
        sut.Catalog.Find("m")!.State.Should().Be(ModelState.Loading, "the rest is held back");

        gate.Open();
        await sut.ConfirmAsync("m", "r");
        Holds(buffer, 0, "m", 0, Length).Should().BeTrue();
    }

    [Fact]
    public async Task U3_AnUnknownReplica_IsAnErrorAtOnce()
    {
        await using var sut = new ReplicaHarness();
        sut.Disk.Add("m", Length);

        var confirming = sut.Replicas.ConfirmAsync("m", "nobody's", CancellationToken.None).AsTask();

        confirming.IsCompleted.Should().BeTrue("there is nothing to wait for");
        (await confirming.Invoking(task => task).Should().ThrowAsync<ModelStoreException>()).Which.Fault.Should().Be(ModelStoreFault.NotFound);
    }

    [Fact]
    public async Task U6_ADiskThatFails_FailsTheReplicaAtOnce_AndItsErrorIsRemembered()
    {
        await using var sut = new ReplicaHarness();
        sut.Disk.Add("m", Length);
        sut.Disk.Reading = (_, offset) =>
        {
            if (offset >= 128 * KiB)
            {
                throw new IOException("The disk is on fire.");
            }
        };
        using var buffer = sut.Client[0].Allocate(Length);

        await sut.StartAsync(sut.Request("m", "r", buffer, new ReplicaChunk(0, Length, 0, 0)));
        for (var i = 0; i < 2; i++)
        {
            var failure = (await sut.Awaiting(store => store.ConfirmAsync("m", "r")).Should().ThrowAsync<ModelStoreException>()).Which;
            failure.Fault.Should().Be(ModelStoreFault.Unreadable);
            failure.Message.Should().Contain("on fire");
        }

        await TestTimeouts.UntilAsync(() => sut.Memory.LiveCount == 0);
    }

    [Fact]
    public async Task U3_AConfirmThatWaits_EndsWithItsToken_AndOthersAreNotConcerned()
    {
        await using var sut = new ReplicaHarness();
        using var gate = new ReadGate();
        sut.Disk.Add("m", Length);
        sut.Disk.Add("n", Length);
        sut.Disk.Reading = (model, offset) =>
        {
            if (model == "m")
            {
                gate.Pass(model, offset);
            }
        };
        using var buffers = sut.Client[0].Allocate(2 * Length);
        await sut.StartAsync(sut.Request("m", "r", buffers, new ReplicaChunk(0, Length, 0, 0)));
        using var deadline = new CancellationTokenSource();
        var waiting = sut.Replicas.ConfirmAsync("m", "r", deadline.Token).AsTask();

        waiting.IsCompleted.Should().BeFalse();
        await deadline.CancelAsync();
        await waiting.Invoking(task => task.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();

        gate.Open();
        await sut.ConfirmAsync("m", "r");
    }

    [Fact]
    public async Task U5_AModelIsNotTakenAway_WhileItIsCopied()
    {
        await using var sut = new ReplicaHarness();
        var gate = new TaskCompletionSource();
        sut.Server[0].Running = _ => gate.Task;
        sut.Disk.Add("m", Length);
        using var buffer = sut.Client[0].Allocate(Length);
        await sut.StartAsync(sut.Request("m", "r", buffer, new ReplicaChunk(0, Length, 0, 0)));
        await TestTimeouts.UntilAsync(() => sut.Catalog.Find("m")!.State == ModelState.Loaded && sut.Server[0].LastOrdinal > 0);

        sut.Catalog.Evict(long.MaxValue).Should().Be(0);
        (await sut.Awaiting(store => store.Catalog.UnloadAsync("m").AsTask()).Should().ThrowAsync<ModelStoreException>()).Which.Fault.Should().Be(ModelStoreFault.InUse);

        gate.SetResult();
        await sut.ConfirmAsync("m", "r");
        Holds(buffer, 0, "m", 0, Length).Should().BeTrue();
        await sut.Catalog.UnloadAsync("m");
    }

    [Fact]
    public async Task U5_AReloadAfterEviction_CopiesTheNewBytes()
    {
        await using var sut = new ReplicaHarness();
        using var buffer = sut.Client[0].Allocate(Length);
        for (var i = 0; i < 3; i++)
        {
            sut.Disk.Add("m", Length);
            Bytes(buffer).Clear();
            await sut.StartAsync(sut.Request("m", $"{i}", buffer, new ReplicaChunk(0, Length, 0, 0)));
            await sut.ConfirmAsync("m", $"{i}");
            Holds(buffer, 0, "m", 0, Length).Should().BeTrue();
            sut.Catalog.Evict(1).Should().BePositive();
        }
    }

    [Fact]
    public async Task ADeviceThatFails_FailsItsReplicaOnly()
    {
        await using var sut = new ReplicaHarness();
        sut.Disk.Add("m", Length);
        sut.Server[0].RefusedOperations.Add(1);
        using var buffer = sut.Client[0].Allocate(Length);
        using var other = sut.Client[1].Allocate(Length);

        await sut.StartAsync(sut.Request("m", "r", buffer, new ReplicaChunk(0, Length, 0, 0)));
        await sut.StartAsync(Request("m", "s", (sut.Client[1].Uuid, [other.Export()], [new ReplicaChunk(0, Length, 0, 0)])));

        (await sut.Awaiting(store => store.ConfirmAsync("m", "r")).Should().ThrowAsync<ModelStoreException>()).Which.Fault.Should().Be(ModelStoreFault.DeviceFailed);
        await sut.ConfirmAsync("m", "s");
        Holds(other, 0, "m", 0, Length).Should().BeTrue();
        await sut.StartAsync(sut.Request("m", "r", buffer, new ReplicaChunk(0, Length, 0, 0)));
        await sut.ConfirmAsync("m", "r");
    }

    [Fact]
    public async Task ADuplicate_IsRefused_AndTheFirstGoesOn()
    {
        await using var sut = new ReplicaHarness();
        sut.Disk.Add("m", Length);
        using var buffer = sut.Client[0].Allocate(Length);
        var request = sut.Request("m", "r", buffer, new ReplicaChunk(0, Length, 0, 0));
        await sut.StartAsync(request);

        await sut.Awaiting(store => store.StartAsync(request)).Should().ThrowAsync<InvalidOperationException>();

        await sut.ConfirmAsync("m", "r");
    }

    [Fact]
    public async Task Clear_WaitsForCopies_AndForgetsThem()
    {
        await using var sut = new ReplicaHarness();
        using var gate = new ReadGate();
        sut.Disk.Add("m", Length);
        sut.Disk.Reading = gate.Pass;
        using var buffer = sut.Client[0].Allocate(Length);
        await sut.StartAsync(sut.Request("m", "r", buffer, new ReplicaChunk(0, Length, 0, 0)));

        var clearing = sut.Replicas.ClearAsync(CancellationToken.None).AsTask();
        clearing.IsCompleted.Should().BeFalse();
        gate.Open();
        await clearing.DefaultTimeout();

        Holds(buffer, 0, "m", 0, Length).Should().BeTrue("it was let end");
        sut.Replicas.Count.Should().Be(0);
    }

    [Fact]
    public async Task Dispose_EndsACopyThatWaitsForTheDisk()
    {
        var sut = new ReplicaHarness();
        using var gate = new ReadGate();
        sut.Disk.Add("m", Length);
        sut.Disk.Reading = gate.Pass;
        using var buffer = sut.Client[0].Allocate(Length);
        await sut.StartAsync(sut.Request("m", "r", buffer, new ReplicaChunk(0, Length, 0, 0)));
        var waiting = sut.ConfirmAsync("m", "r");

        await sut.Replicas.DisposeAsync().DefaultTimeout();
        await waiting.Invoking(task => task).Should().ThrowAsync<ModelStoreException>();

        gate.Open();
        await sut.DisposeAsync();
    }

    [Fact]
    public async Task WithoutDevices_TheReasonIsTold()
    {
        await using var sut = new ReplicaHarness(devices: SimulatedDeviceSet.None("The driver is missing: install it."));
        sut.Disk.Add("m", Length);
        using var buffer = sut.Client[0].Allocate(Length);

        var failure = (await sut.Awaiting(store => store.StartAsync(sut.Request("m", "r", buffer, new ReplicaChunk(0, 1, 0, 0))))
            .Should().ThrowAsync<ModelStoreException>()).Which;

        failure.Fault.Should().Be(ModelStoreFault.DeviceFailed);
        failure.Message.Should().Contain("The driver is missing: install it.");
    }

    [Fact]
    public async Task AStoreThatInsistsOnRegistration_RefusesAModelThatIsNot()
    {
        await using var sut = new ReplicaHarness(registrationRequired: true);
        sut.Disk.Add("m", Length);
        using var buffer = sut.Client[0].Allocate(Length);
        var request = sut.Request("m", "r", buffer, new ReplicaChunk(0, Length, 0, 0));

        (await sut.Awaiting(store => store.StartAsync(request)).Should().ThrowAsync<ModelStoreException>()).Which.Fault.Should().Be(ModelStoreFault.NotFound);
        await sut.Catalog.RegisterAsync("m");
        await sut.StartAsync(request);
        await sut.ConfirmAsync("m", "r");
    }
}
