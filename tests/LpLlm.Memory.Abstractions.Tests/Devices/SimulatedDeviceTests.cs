namespace LpLlm.Memory.Tests;

/// <summary>What the simulated device adds to the contract: lateness, failures on demand, and the detection of misuse.</summary>
public sealed class SimulatedDeviceTests : IDisposable
{
    private const int Length = 4096;
    private readonly SimulatedDevice _device = new();
    private readonly FakePool _pool = new();
    private readonly IDeviceStream _stream;
    private readonly IDeviceBuffer _buffer;
    private readonly PinnedLease _host;

    public SimulatedDeviceTests()
    {
        _stream = _device.CreateStream();
        _buffer = _device.Allocate(Length);
        _host = _pool.Rent(Length);
        _host.AsSpan<byte>().Fill(7);
    }

    public void Dispose()
    {
        _stream.Dispose();
        _buffer.Dispose();
        _host.Dispose();
    }

    [Fact]
    public async Task CopyToHost_BytesAndFence_ArriveWhenTheStreamGetsThere()
    {
        var gate = new TaskCompletionSource();
        _device.Running = _ => gate.Task;
        _stream.CopyToHost(_buffer.Address, _host.Address, Length);
        var fence = _stream.Record();

        fence.IsCompleted.Should().BeFalse();
        _host.AsSpan<byte>().IndexOfAnyExcept((byte)7).Should().Be(-1);
        gate.SetResult();
        await fence.WaitAsync().DefaultTimeout();

        _host.AsSpan<float>().ToArray().Should().OnlyContain(value => float.IsNaN(value), "fresh device memory is NaN");
        _device.Executed.Select(operation => operation.Kind).Should().Equal(SimulatedOperationKind.CopyToHost, SimulatedOperationKind.Record);
    }

    [Fact]
    public async Task FailingOperation_FailsTheFencesBehindItAndTheStream()
    {
        _device.FailingOperations.Add(3);
        _stream.CopyToDevice(_host.Address, _buffer.Address, Length);
        var before = _stream.Record();
        _stream.CopyToDevice(_host.Address, _buffer.Address, Length);
        var behind = _stream.Record();

        await before.WaitAsync().DefaultTimeout();
        (await FluentActions.Awaiting(() => behind.WaitAsync().DefaultTimeout()).Should().ThrowAsync<PinnedMemoryException>())
            .WithMessage("*told to fail*");
        behind.IsCompleted.Should().BeFalse();
        _stream.Invoking(stream => stream.Record()).Should().Throw<PinnedMemoryException>();
        using var other = _device.CreateStream();
        await other.Record().WaitAsync().DefaultTimeout();
    }

    [Fact]
    public void RefusedOperation_ThrowsAtTheCall()
    {
        _device.RefusedOperations.Add(1);

        _stream.Invoking(stream => stream.CopyToDevice(_host.Address, _buffer.Address, Length)).Should().Throw<PinnedMemoryException>();
        _stream.Invoking(stream => stream.CopyToDevice(_host.Address, _buffer.Address, Length)).Should().NotThrow();
    }

    [Fact]
    public async Task Lose_StuckStream_FailsItsFencesAndAllLaterCalls()
    {
        _device.Running = _ => new TaskCompletionSource().Task;
        using var other = _device.CreateStream();
        _stream.CopyToDevice(_host.Address, _buffer.Address, Length);
        var fence = _stream.Record();
        other.WaitForEvent(fence.EventHandle);
        var chained = other.Record();

        _device.Lose();

        foreach (var each in new[] { fence, chained })
        {
            await FluentActions.Awaiting(() => each.WaitAsync().DefaultTimeout()).Should().ThrowAsync<PinnedMemoryException>();
        }

        _device.Invoking(device => device.Allocate(1)).Should().Throw<PinnedMemoryException>();
        _device.Invoking(device => device.CreateStream()).Should().Throw<PinnedMemoryException>();
        _stream.Invoking(stream => stream.Record()).Should().Throw<PinnedMemoryException>();
    }

    [Fact]
    public async Task Wait_ForAnEventThatFailed_FailsWhatIsBehindIt()
    {
        _device.FailingOperations.Add(1);
        var failed = _stream.Record();
        using var other = _device.CreateStream();
        other.WaitForEvent(failed.EventHandle);

        await FluentActions.Awaiting(() => other.Record().WaitAsync().DefaultTimeout()).Should().ThrowAsync<PinnedMemoryException>();
    }

    [Fact]
    public async Task Fence_WaitCancelled_GoesOn()
    {
        var gate = new TaskCompletionSource();
        _device.Running = _ => gate.Task;
        var fence = _stream.Record();

        await FluentActions.Awaiting(() => fence.WaitAsync(new CancellationToken(true)).DefaultTimeout())
            .Should().ThrowAsync<OperationCanceledException>();

        gate.SetResult();
        await fence.WaitAsync().DefaultTimeout();
    }

    [Theory]
    [InlineData(1, Length)]
    [InlineData(-1, 2)]
    [InlineData(Length, 1)]
    [InlineData(0, Length + 1)]
    public void Copy_OutsideTheBuffer_IsRefusedAndNoted(int offset, int length)
    {
        _stream.Invoking(stream => stream.CopyToDevice(_host.Address, _buffer.Address + offset, length)).Should().Throw<PinnedMemoryException>();

        _device.Faults.Should().ContainSingle().Which.Should().Contain("not within one live buffer");
    }

    [Fact]
    public void Copy_PitchBelowRow_IsRefusedAndNoted()
    {
        _stream.Invoking(stream => stream.CopyToDevice(_host.Address, 8, _buffer.Address, 7, 8, 2)).Should().Throw<PinnedMemoryException>();

        _device.Faults.Should().ContainSingle().Which.Should().Contain("pitch");
    }

    [Fact]
    public async Task Buffer_DisposedWithCopiesInFlight_IsNotedAndTheCopyFails()
    {
        var gate = new TaskCompletionSource();
        _device.Running = _ => gate.Task;
        _stream.CopyToDevice(_host.Address, _buffer.Address, Length);
        var fence = _stream.Record();

        _buffer.Dispose();
        gate.SetResult();

        await FluentActions.Awaiting(() => fence.WaitAsync().DefaultTimeout()).Should().ThrowAsync<PinnedMemoryException>();
        _device.Faults.Should().HaveCount(2);
        _device.Invoking(device => device.ShouldBeClean()).Should().Throw<Exception>();
    }

    [Fact]
    public void Copy_WithAnAddressOfAnotherProcess_IsRefused()
    {
        using var otherStream = new SimulatedDevice().CreateStream();

        otherStream.Invoking(stream => stream.CopyToDevice(_host.Address, _buffer.Address, Length)).Should().Throw<PinnedMemoryException>();
    }

    [Fact]
    public void Import_HandleOfAnotherDevice_IsRefused()
    {
        var handle = _buffer.Export();

        new SimulatedDevice("cuda:1").Invoking(device => device.Import(handle)).Should().Throw<PinnedMemoryException>().WithMessage("*another device*");
    }

    [Fact]
    public async Task Import_OwnerFreesIt_StaysReadableUntilClosed()
    {
        var other = new SimulatedDevice();
        using var stream = other.CreateStream();
        _stream.CopyToDevice(_host.Address, _buffer.Address, Length);
        await _stream.Record().WaitAsync().DefaultTimeout();
        using var imported = other.Import(_buffer.Export());
        _buffer.Dispose();
        _host.AsSpan<byte>().Clear();

        stream.CopyToHost(imported.Address, _host.Address, Length);
        await stream.Record().WaitAsync().DefaultTimeout();

        _host.AsSpan<byte>().IndexOfAnyExcept((byte)7).Should().Be(-1);
    }

    [Fact]
    public void WaitForEvent_UnknownHandle_IsRefusedAndNoted()
    {
        _stream.Invoking(stream => stream.WaitForEvent(1)).Should().Throw<PinnedMemoryException>();

        _device.Faults.Should().ContainSingle().Which.Should().Contain("not alive");
    }

    [Fact]
    public async Task DropsWaits_LetsAStreamOvertake()
    {
        var gate = new TaskCompletionSource();
        using var other = _device.CreateStream();
        _device.DropsWaits = true;
        _device.Running = operation => operation.StreamHandle == _stream.Handle ? gate.Task : Task.CompletedTask;
        _stream.CopyToDevice(_host.Address, _buffer.Address, Length);
        other.WaitForStream(_stream.Handle);
        other.CopyToHost(_buffer.Address, _host.Address, 4);
        await other.Record().WaitAsync().DefaultTimeout();

        float.IsNaN(_host.AsSpan<float>()[0]).Should().BeTrue("it read what was not written yet");
        gate.SetResult();
        await _stream.Record().WaitAsync().DefaultTimeout();
    }

    [Fact]
    public void CompletesFencesEarly_FenceIsCompleteBeforeItsWork()
    {
        _device.CompletesFencesEarly = true;
        _device.Running = _ => new TaskCompletionSource().Task;
        _stream.CopyToDevice(_host.Address, _buffer.Address, Length);

        _stream.Record().IsCompleted.Should().BeTrue();
        _device.Lose();
    }

    [Fact]
    public void ShouldBeClean_SomethingNotDisposed_Throws() =>
        _device.Invoking(device => device.ShouldBeClean()).Should().Throw<Exception>().WithMessage("*every device buffer is disposed*");

    [Fact]
    public void Set_FindsByNameAndUuid()
    {
        var (first, second) = (new SimulatedDevice(), new SimulatedDevice("cuda:1"));
        IDeviceSet set = new SimulatedDeviceSet(first, second);

        set.Find("CUDA:1").Should().BeSameAs(second);
        set.Find(first.Uuid.ToUpperInvariant()).Should().BeSameAs(first);
        set.Find("cuda:2").Should().BeNull();
        set.UnavailableReason.Should().BeNull();
        SimulatedDeviceSet.None("why").UnavailableReason.Should().Be("why");
    }
}
