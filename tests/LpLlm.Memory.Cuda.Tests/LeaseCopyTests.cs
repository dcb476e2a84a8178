using LpLlm.Memory.Cuda.Driver;

namespace LpLlm.Memory.Cuda;

public sealed class LeaseCopyTests : IDisposable
{
    private const int Length = 64 << 10;

    private readonly SimulatedCudaDriver _driver = new();
    private readonly FakePool _pool = new();
    private readonly CudaDevice _device;
    private readonly IDeviceStream _stream;
    private readonly IDeviceBuffer _buffer;

    public LeaseCopyTests()
    {
        _device = new CudaRuntime(_driver).Devices[0];
        _stream = _device.CreateStream();
        _buffer = _device.Allocate(Length);
    }

    public void Dispose()
    {
        _stream.Dispose();
        _buffer.Dispose();
        _pool.Dispose();
    }

    [Fact]
    public async Task CopyAsync_ThereAndBack_GivesTheSameBytes()
    {
        using var source = _pool.Rent(Length);
        using var target = _pool.Rent(Length);
        new Random(1).NextBytes(source.AsSpan<byte>());

        await source.CopyToDeviceAsync(_stream, _buffer).DefaultTimeout();
        await target.CopyToHostAsync(_stream, _buffer).DefaultTimeout();

        target.AsSpan<byte>().SequenceEqual(source.AsSpan<byte>()).Should().BeTrue();
    }

    [Fact]
    public async Task CopyAsync_ASlice_MovesThatAndNothingElse()
    {
        using var source = _pool.Rent(1000);
        using var target = _pool.Rent(1000);
        new Random(1).NextBytes(source.AsSpan<byte>());
        target.AsSpan<byte>().Clear();

        await source.CopyToDeviceAsync(100, 50, _stream, _buffer, 7).DefaultTimeout();
        await target.CopyToHostAsync(900, 50, _stream, _buffer, 7).DefaultTimeout();

        target.GetSpan(900, 50).SequenceEqual(source.GetSpan(100, 50)).Should().BeTrue();
        target.GetSpan(0, 900).IndexOfAnyExcept((byte)0).Should().Be(-1);
        target.GetSpan(950, 50).IndexOfAnyExcept((byte)0).Should().Be(-1);
    }

    [Theory]
    [InlineData(-1, 1, 0)]
    [InlineData(0, 0, 0)]
    [InlineData(0, 1001, 0)]
    [InlineData(1000, 1, 0)]
    [InlineData(1, long.MaxValue, 0)]
    [InlineData(0, 1000, Length - 999)]
    [InlineData(0, 1, -1)]
    [InlineData(0, 1, long.MaxValue)]
    public async Task CopyAsync_PastAnEnd_ThrowsAndCopiesNothing(long offset, long length, long bufferOffset)
    {
        using var lease = _pool.Rent(1000);

        await FluentActions.Awaiting(() => lease.CopyToDeviceAsync(offset, length, _stream, _buffer, bufferOffset).AsTask())
            .Should().ThrowAsync<ArgumentOutOfRangeException>();
        await FluentActions.Awaiting(() => lease.CopyToHostAsync(offset, length, _stream, _buffer, bufferOffset).AsTask())
            .Should().ThrowAsync<ArgumentOutOfRangeException>();

        _driver.CopyStreams.Should().BeEmpty();
    }

    [Fact]
    public async Task P4_Dispose_CopyIsOnItsWay_ThrowsAndTheLeaseStaysRented()
    {
        _driver.IsHeld = true;
        var lease = _pool.Rent(Length);
        var copy = lease.CopyToDeviceAsync(_stream, _buffer);

        lease.Invoking(each => each.Dispose()).Should().Throw<InvalidOperationException>().WithMessage("*1 copies*");

        lease.IsReturned.Should().BeFalse();
        _pool.LiveLeases.Should().Be(1);
        _driver.IsHeld = false;
        await copy.DefaultTimeout();
        lease.Dispose();
        _pool.LiveLeases.Should().Be(0);
    }

    [Fact]
    public async Task P4_ReturnAfter_CopyIsOnItsWay_TakesTheFenceBehindIt()
    {
        _driver.IsHeld = true;
        var lease = _pool.Rent(Length);
        var copy = lease.CopyToDeviceAsync(_stream, _buffer);
        var fence = _stream.Record();

        lease.ReturnAfter(fence);

        _pool.LastFence.Should().BeSameAs(fence);
        lease.Invoking(each => each.Address).Should().Throw<ObjectDisposedException>();
        _driver.IsHeld = false;
        await copy.DefaultTimeout();
    }

    [Fact]
    public async Task CopyAsync_LeaseIsReturned_Throws()
    {
        var lease = _pool.Rent(Length);
        lease.Dispose();

        await FluentActions.Awaiting(() => lease.CopyToDeviceAsync(_stream, _buffer).AsTask()).Should().ThrowAsync<ObjectDisposedException>();
        lease.Invoking(each => each.Dispose()).Should().NotThrow();
    }

    [Fact]
    public async Task CopyAsync_TheDeviceBreaksDown_FailsAndTheMemoryIsNeverRentedAgain()
    {
        _driver.IsHeld = true;
        var lease = _pool.Rent(Length);
        var copy = lease.CopyToHostAsync(_stream, _buffer).AsTask();

        _driver.BreakDown(700);

        await copy.Awaiting(each => each.DefaultTimeout()).Should().ThrowAsync<CudaException>();
        lease.Dispose();
        _pool.LastFence.Should().NotBeNull();
        _pool.LastFence!.IsCompleted.Should().BeFalse("the device may write to it still");
        await _pool.LastFence.Awaiting(fence => fence.WaitAsync().DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>();
        _driver.BreakDown(0);
    }

    [Fact]
    public async Task CopyAsync_RefusedAtOnce_LeavesTheLeaseAsItWas()
    {
        var lease = _pool.Rent(Length);
        _driver.Failures["enqueue"] = CudaError.InvalidHandle;

        await FluentActions.Awaiting(() => lease.CopyToDeviceAsync(_stream, _buffer).AsTask()).Should().ThrowAsync<CudaException>();

        lease.Dispose();
        _pool.LastFence.Should().BeNull();
        _driver.Failures.Clear();
    }

    [Fact]
    public async Task CopyAsync_CancelledBefore_CopiesNothing()
    {
        using var lease = _pool.Rent(Length);
        using var cancellation = new CancellationTokenSource();
        await cancellation.CancelAsync();

        await FluentActions.Awaiting(() => lease.CopyToDeviceAsync(_stream, _buffer, cancellation.Token).AsTask())
            .Should().ThrowAsync<OperationCanceledException>();

        _driver.CopyStreams.Should().BeEmpty();
    }

    /// <summary>Producer event, copy, fence, read and write on the host, copy back, event: in that order, however late each part is.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task P2_P3_P4_ThroughTheHostAndBack_EveryStageSeesTheOneBefore(int seed)
    {
        var device = new CudaRuntime(new SimulatedCudaDriver(seed)).Devices[0];
        using var producer = device.CreateStream();
        using var copies = device.CreateStream();
        using var consumer = device.CreateStream();
        using var buffer = device.Allocate(Length);
        for (byte round = 1; round <= 20; round++)
        {
            using var made = _pool.Rent(Length);
            using var seen = _pool.Rent(Length);
            var lease = _pool.Rent(Length);
            made.AsSpan<byte>().Fill(round);
            producer.CopyToDevice(made, 0, buffer, 0, Length);
            copies.WaitForStream(producer.Handle);
            await lease.CopyToHostAsync(copies, buffer).DefaultTimeout();
            lease.AsSpan<byte>().IndexOfAnyExcept(round).Should().Be(-1, "the host reads what was produced");

            lease.AsSpan<byte>().Fill((byte)(round + 100));
            copies.CopyToDevice(lease, 0, buffer, 0, Length);
            copies.MakeStreamWait(consumer.Handle);
            consumer.CopyToHost(buffer, 0, seen, 0, Length);
            await consumer.Record().WaitAsync().DefaultTimeout();

            seen.AsSpan<byte>().IndexOfAnyExcept((byte)(round + 100)).Should().Be(-1, "the consumer reads what the host wrote");
            lease.ReturnAfter(copies.Record());
            producer.WaitForStream(copies.Handle);
        }
    }
}
