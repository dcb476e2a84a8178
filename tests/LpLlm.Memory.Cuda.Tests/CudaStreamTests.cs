using FsCheck;
using FsCheck.Fluent;
using LpLlm.Memory.Cuda.Driver;

namespace LpLlm.Memory.Cuda;

public sealed class CudaStreamTests
{
    private const int SliceBytes = 2 << 20;

    private readonly SimulatedCudaDriver _driver = new();
    private readonly CudaRuntime _runtime;
    private readonly CudaDevice _device;

    public CudaStreamTests()
    {
        _runtime = new CudaRuntime(_driver);
        _device = _runtime.Devices[0];
    }

    [Fact]
    public async Task Copy_OverSeveralRegistrations_IsCutWhereOneEnds()
    {
        using var pinner = Pinner();
        using var memory = new HostBytes(5 * SliceBytes);
        memory.Fill(1);
        var expected = memory.Span.ToArray();
        pinner.Pin(memory.Address, memory.LengthBytes);
        using var buffer = _device.Allocate(memory.LengthBytes);
        using var stream = _device.CreateStream();
        _runtime.HostRanges.Use(memory.Address + 2 * SliceBytes, 1); // the third slice by itself

        stream.CopyToDevice(memory.Address, buffer.Address, memory.LengthBytes);
        await stream.Record().WaitAsync().DefaultTimeout();
        memory.Span.Clear();
        stream.CopyToHost(buffer.Address, memory.Address, memory.LengthBytes);
        await stream.Record().WaitAsync().DefaultTimeout();

        memory.Span.SequenceEqual(expected).Should().BeTrue();
        _driver.CopyStreams.Should().HaveCount(6, "each way takes one copy for each of three registrations");
        pinner.Unpin(memory.Address, memory.LengthBytes);
    }

    [Fact]
    public void Copy_FirstOverSeveralSlices_IsOneRegistrationAndOneCopy()
    {
        using var pinner = Pinner();
        using var memory = new HostBytes(5 * SliceBytes);
        pinner.Pin(memory.Address, memory.LengthBytes);
        using var buffer = _device.Allocate(memory.LengthBytes);
        using var stream = _device.CreateStream();

        stream.CopyToDevice(memory.Address + 100, buffer.Address, 4 * SliceBytes);

        _driver.Registered.Should().Equal(new Dictionary<nint, long> { [memory.Address] = 5 * SliceBytes });
        _driver.CopyStreams.Should().ContainSingle();
        pinner.Unpin(memory.Address, memory.LengthBytes);
    }

    [Fact]
    public void Copy_AnyPartAndRows_MovesExactlyThem() => Prop.ForAll(
        (from pieces in Gen.Choose(1, 4)
         from used in Gen.Choose(0, 15)
         from offset in Gen.Choose(0, SliceBytes)
         from row in Gen.Choose(1, SliceBytes)
         from gap in Gen.OneOf(Gen.Constant(0), Gen.Choose(0, SliceBytes))
         from rows in Gen.Choose(1, 6)
         select (pieces, used, offset, row, gap, rows)).ToArbitrary(),
        shape => CopyRows(shape.pieces, shape.used, shape.offset, shape.row, shape.gap, shape.rows)).Check(Config.QuickThrowOnFailure.WithMaxTest(40));

    [Fact]
    public void C11_Copy_IntoRowsOfLongerOnes_WritesIntoTheMemoryItself() => CopyRows(2, 0b10, 100, 64, 36, 6);

    [Fact]
    public async Task C11_Copy_NeverGoesToTheDefaultStreamAndNeverWaits()
    {
        using var source = new HostBytes(4096);
        using var buffer = _device.Allocate(4096);
        using var stream = _device.CreateStream();
        _driver.IsHeld = true;

        stream.CopyToDevice(source.Address, buffer.Address, 4096);
        stream.CopyToDevice(source.Address, 128, buffer.Address, 64, 64, 8);
        var fence = stream.Record();

        fence.IsCompleted.Should().BeFalse("the calls returned before anything was done");
        _driver.CopyStreams.Should().OnlyContain(handle => handle == stream.Handle).And.NotContain(0);
        _driver.IsHeld = false;
        await fence.WaitAsync().DefaultTimeout();
    }

    [Fact]
    public void C11_Copy_Refused_CarriesTheDriversText()
    {
        using var source = new HostBytes(4096);
        using var stream = _device.CreateStream();

        var error = stream.Invoking(each => each.CopyToDevice(source.Address, 4096, 4096)).Should().Throw<CudaException>().Which;

        error.Message.Should().Contain("cuMemcpyHtoDAsync of 4096 B").And.Contain("SIMULATED_1").And.Contain("simulated error 1");
        error.Remedy.Should().NotBeEmpty();
    }

    [Theory]
    [InlineData(0, 10, 10, 1)]
    [InlineData(10, 9, 10, 1)]
    [InlineData(10, 10, 9, 1)]
    [InlineData(10, 10, 10, 0)]
    [InlineData(1L << 40, 1L << 40, 1L << 40, 1L << 24)]
    [InlineData(10, 10, 1L << 40, 1L << 24)]
    public void Copy_RowsThatCannotBe_Throws(long row, long hostPitch, long devicePitch, long rows)
    {
        using var stream = _device.CreateStream();

        stream.Invoking(each => each.CopyToDevice(1, hostPitch, 1, devicePitch, row, rows)).Should().Throw<ArgumentOutOfRangeException>();
        _driver.CopyStreams.Should().BeEmpty();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void P4_Copy_ALaterSliceIsRefused_ThrowsWithNothingUnderWay(int rows)
    {
        using var pinner = Pinner();
        using var memory = new HostBytes(2 * SliceBytes);
        pinner.Pin(memory.Address, memory.LengthBytes);
        using var buffer = _device.Allocate(memory.LengthBytes);
        using var stream = _device.CreateStream();
        _runtime.HostRanges.Use(memory.Address, 1);
        _driver.Registering = (_, _, _) => CudaError.OutOfMemory;
        var row = memory.LengthBytes / rows;

        stream.Invoking(each => each.CopyToHost(buffer.Address, row, memory.Address, row, row - rows + 1, rows)).Should().Throw<CudaException>();

        _driver.CopyStreams.Should().BeEmpty("whoever gets the exception gives the memory back");
        pinner.Unpin(memory.Address, memory.LengthBytes);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task P4_Copy_RefusedBehindItsFirstPart_FailsTheFencesBehindIt(int rows)
    {
        using var pinner = Pinner();
        using var memory = new HostBytes(2 * SliceBytes);
        pinner.Pin(memory.Address, memory.LengthBytes);
        using var half = _device.Allocate(SliceBytes);
        using var stream = _device.CreateStream();
        _runtime.HostRanges.Use(memory.Address, 1);
        var row = memory.LengthBytes / rows;

        stream.CopyToHost(half.Address, row, memory.Address, row, row - rows + 1, rows);
        var fence = stream.Record();

        await fence.Awaiting(each => each.WaitAsync().DefaultTimeout()).Should().ThrowAsync<CudaException>().WithMessage("*cuMemcpyDtoHAsync*");
        fence.IsCompleted.Should().BeFalse();
        _driver.CopyStreams.Should().HaveCount(2, "the first part was taken, so that the memory is in use");
        pinner.Unpin(memory.Address, memory.LengthBytes);
    }

    [Fact]
    public async Task Copy_OnTheSecondDevice_ASliceIsRegisteredMeanwhile_EventsAreStillOfItsContext()
    {
        var driver = new SimulatedCudaDriver(deviceCount: 2);
        var runtime = new CudaRuntime(driver);
        using var pinner = new CudaHostPinner(runtime, new CudaHostMemoryOptions { Registration = HostRegistration.Lazy, SliceBytes = SliceBytes });
        using var memory = new HostBytes(2 * SliceBytes);
        pinner.Pin(memory.Address, memory.LengthBytes);
        using var buffer = runtime.Devices[1].Allocate(memory.LengthBytes);
        using var stream = runtime.Devices[1].CreateStream();

        stream.CopyToDevice(memory.Address, buffer.Address, 64);
        stream.Record();
        stream.CopyToDevice(memory.Address + SliceBytes, buffer.Address, SliceBytes);
        await stream.Record().WaitAsync().DefaultTimeout();

        pinner.Unpin(memory.Address, memory.LengthBytes);
    }

    [Fact]
    public async Task Dispose_TheContextIsGone_DoesNotThrowAndFailsTheFences()
    {
        using var memory = new HostBytes(64);
        var buffer = _device.Allocate(64);
        var stream = _device.CreateStream();
        stream.CopyToDevice(memory.Address, buffer.Address, 64);
        var fence = stream.Record();
        _driver.SetCurrentContext(0);
        _driver.Failures["cuCtxSetCurrent"] = 999;

        stream.Invoking(each => each.Dispose()).Should().NotThrow("it would hide why the device is given up, and keep the next stream");

        await fence.Awaiting(each => each.WaitAsync().DefaultTimeout()).Should().ThrowAsync<CudaException>();
        _driver.Failures.Clear();
        buffer.Dispose();
    }

    [Fact]
    public void WaitForEvent_UnknownHandle_Throws()
    {
        using var stream = _device.CreateStream();

        stream.Invoking(each => each.WaitForEvent(0x999)).Should().Throw<CudaException>().Which.ErrorCode.Should().Be(CudaError.InvalidHandle);
        stream.Invoking(each => each.WaitForStream(0x999)).Should().Throw<CudaException>();
        stream.Invoking(each => each.MakeStreamWait(0x999)).Should().Throw<CudaException>();
        _driver.LiveEvents.Should().Be(1, "the event that was borrowed is kept for the next");
    }

    [Fact]
    public async Task MakeStreamWait_ACallersStream_ComesAfterWhatWasEnqueued()
    {
        using var memory = new HostBytes(64);
        memory.Fill(3);
        using var back = new HostBytes(64);
        using var buffer = _device.Allocate(64);
        using var ours = _device.CreateStream();
        using var callers = _device.CreateStream();

        ours.CopyToDevice(memory.Address, buffer.Address, 64);
        ours.MakeStreamWait(callers.Handle);
        callers.CopyToHost(buffer.Address, back.Address, 64);
        await callers.Record().WaitAsync().DefaultTimeout();

        back.Span.SequenceEqual(memory.Span).Should().BeTrue();
    }

    /// <summary>The first slices are pinned, the rest is pageable; a bit of <paramref name="used"/> is a slice that is registered by itself before.</summary>
    private void CopyRows(int pieces, int used, int offset, int row, int gap, int rows)
    {
        using var pinner = Pinner();
        var span = (rows - 1) * (row + gap) + row;
        using var source = new HostBytes(offset + span + pieces * SliceBytes);
        using var target = new HostBytes(source.LengthBytes);
        source.Fill(rows);
        pinner.Pin(source.Address, pieces * SliceBytes);
        pinner.Pin(target.Address, pieces * SliceBytes);
        foreach (var slice in Enumerable.Range(0, pieces).Where(each => (used >> each & 1) != 0))
        {
            _runtime.HostRanges.Use(source.Address + slice * SliceBytes, 1);
            _runtime.HostRanges.Use(target.Address + slice * SliceBytes, 1);
        }

        using var buffer = _device.Allocate((long)row * rows);
        using var stream = _device.CreateStream();

        stream.CopyToDevice(source.Address + offset, row + gap, buffer.Address, row, row, rows);
        stream.CopyToHost(buffer.Address, row, target.Address + offset, row + gap, row, rows);
        var fence = stream.Record();
        SpinWait.SpinUntil(() => fence.IsCompleted, TimeSpan.FromSeconds(30)).Should().BeTrue();

        for (var at = 0; at < target.LengthBytes; at++)
        {
            var inRows = at - offset;
            var expected = inRows >= 0 && inRows < span && inRows % (row + gap) < row ? source.Span[at] : 0;
            if (target.Span[at] != expected)
            {
                target.Span[at].Should().Be((byte)expected, $"of byte {at}");
            }
        }

        pinner.Unpin(source.Address, pieces * SliceBytes);
        pinner.Unpin(target.Address, pieces * SliceBytes);
    }

    private CudaHostPinner Pinner() =>
        new(_runtime, new CudaHostMemoryOptions { Registration = HostRegistration.Lazy, SliceBytes = SliceBytes });
}
