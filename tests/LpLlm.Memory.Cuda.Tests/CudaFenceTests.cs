using LpLlm.Memory.Cuda.Driver;

namespace LpLlm.Memory.Cuda;

public sealed class CudaFenceTests
{
    private readonly SimulatedCudaDriver _driver = new();
    private readonly CudaDevice _device;

    public CudaFenceTests() => _device = new CudaRuntime(_driver).Devices[0];

    [Fact]
    public async Task IsCompleted_OnceItWas_AsksTheDriverNoMore()
    {
        using var stream = _device.CreateStream();
        var fence = stream.Record();
        await fence.WaitAsync().DefaultTimeout();
        var queries = _driver.Queries;

        for (var i = 0; i < 100; i++)
        {
            fence.IsCompleted.Should().BeTrue();
        }

        _driver.Queries.Should().Be(queries);
    }

    [Fact]
    public void IsCompleted_WorkIsHeld_IsFalseUntilItIsDone()
    {
        using var stream = _device.CreateStream();
        _driver.IsHeld = true;
        var fence = stream.Record();

        fence.IsCompleted.Should().BeFalse();
        _driver.IsHeld = false;
        SpinWait.SpinUntil(() => fence.IsCompleted, TimeSpan.FromSeconds(30)).Should().BeTrue();
    }

    [Fact]
    public async Task WaitAsync_Cancelled_StopsWaitingAndTheFenceGoesOn()
    {
        using var stream = _device.CreateStream();
        using var cancellation = new CancellationTokenSource();
        _driver.IsHeld = true;
        var fence = stream.Record();
        var wait = fence.WaitAsync(cancellation.Token).AsTask();

        await cancellation.CancelAsync();

        await wait.Awaiting(each => each.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        _driver.IsHeld = false;
        await fence.WaitAsync().DefaultTimeout();
    }

    [Fact]
    public async Task WaitAsync_ManyOnSeveralStreams_AllComplete()
    {
        var streams = Enumerable.Range(0, 4).Select(_ => _device.CreateStream()).ToList();
        var fences = Enumerable.Range(0, 200).Select(i => streams[i % 4].Record()).ToList();

        await Task.WhenAll(fences.Select(fence => fence.WaitAsync().AsTask())).DefaultTimeout();

        streams.ForEach(stream => stream.Dispose());
        fences.Should().OnlyContain(fence => fence.IsCompleted);
    }

    [Fact]
    public async Task WaitAsync_NoThreadCanBeStarted_CompletesAllTheSame()
    {
        var poller = new CompletionPoller(_ => throw new InsufficientMemoryException());
        using var stream = new CudaRuntime(_driver) { Poller = poller }.Devices[0].CreateStream();
        _driver.IsHeld = true;
        var first = stream.Record().WaitAsync();
        var second = stream.Record().WaitAsync();
        _driver.IsHeld = false;

        await first.DefaultTimeout();
        await second.DefaultTimeout();
    }

    [Fact]
    public async Task WaitAsync_TheDeviceBreaksDown_FailsAndTheFenceNeverCompletes()
    {
        using var stream = _device.CreateStream();
        _driver.IsHeld = true;
        var (first, second) = (stream.Record(), stream.Record());
        var wait = first.WaitAsync().AsTask();

        _driver.BreakDown(700);

        (await wait.Awaiting(each => each.DefaultTimeout()).Should().ThrowAsync<CudaException>()).Which.ErrorCode.Should().Be(700);
        first.IsCompleted.Should().BeFalse();
        await second.Awaiting(each => each.WaitAsync().DefaultTimeout()).Should().ThrowAsync<CudaException>();
        _driver.BreakDown(0);
    }

    [Fact]
    public async Task Record_OneAfterTheOther_UsesTheSameEventsAgain()
    {
        using var stream = _device.CreateStream();
        for (var i = 0; i < 500; i++)
        {
            await stream.Record().WaitAsync().DefaultTimeout();
        }

        _driver.EventsMade.Should().Be(1);
    }

    [Fact]
    public void Record_NobodyEverAsks_KeepsFewEvents()
    {
        const int Long = 256 << 10;
        using var stream = _device.CreateStream();
        using var buffer = _device.Allocate(Long);
        using var source = new HostBytes(Long);
        for (var i = 0; i < 2000; i++)
        {
            stream.CopyToDevice(source.Address, buffer.Address, Long);
            stream.Record();
        }

        _driver.Queries.Should().BePositive();
        _driver.EventsMade.Should().BeLessThan(1000, "at many events the driver is asked which of them are done");
    }

    [Fact]
    public async Task Record_FencesOfSmallCopies_ShareEvents()
    {
        using var stream = _device.CreateStream();
        using var buffer = _device.Allocate(64);
        using var source = new HostBytes(64);
        var fences = new List<IDeviceFence>();
        for (var i = 0; i < 80; i++)
        {
            stream.CopyToDevice(source.Address, buffer.Address, 64);
            fences.Add(stream.Record());
        }

        await fences[^1].WaitAsync().DefaultTimeout();

        fences.Should().OnlyContain(fence => fence.IsCompleted);
        _driver.EventsMade.Should().BeLessThanOrEqualTo(11);
    }

    [Fact]
    public async Task Record_MuchWorkFollows_TheFenceDoesNotWaitForIt()
    {
        using var stream = _device.CreateStream();
        using var gate = _device.CreateStream();
        using var buffer = _device.Allocate(1 << 20);
        using var source = new HostBytes(1 << 20);
        stream.CopyToDevice(source.Address, buffer.Address, 64);
        var early = stream.Record();
        stream.CopyToDevice(source.Address, buffer.Address, 1 << 20);
        var events = _driver.EventsMade;
        var second = stream.Record();
        stream.WaitForStream(gate.Handle);

        events.Should().Be(1, "the first fence has an event of its own, before the long copy");
        await early.WaitAsync().DefaultTimeout();
        await second.WaitAsync().DefaultTimeout();
        _driver.EventsMade.Should().BeGreaterThanOrEqualTo(2, "a wait takes unknown time");
    }

    [Fact]
    public async Task EventHandle_AnotherStreamWaitsForIt_ComesAfterTheFence()
    {
        using var stream = _device.CreateStream();
        using var other = _device.CreateStream();
        using var buffer = _device.Allocate(64);
        using var source = new HostBytes(64);
        using var seen = new HostBytes(64);
        source.Fill(1);
        stream.CopyToDevice(source.Address, buffer.Address, 64);

        other.WaitForEvent(stream.Record().EventHandle);
        other.CopyToHost(buffer.Address, seen.Address, 64);
        await other.Record().WaitAsync().DefaultTimeout();

        seen.Span.SequenceEqual(source.Span).Should().BeTrue();
    }

    [Fact]
    public async Task Dispose_FencesAreOutstanding_TheyCompleteAndTheirEventsAreDestroyed()
    {
        _driver.IsHeld = true;
        var stream = _device.CreateStream();
        var fences = Enumerable.Range(0, 5).Select(_ => stream.Record()).ToList();

        stream.Dispose();
        _driver.IsHeld = false;

        await fences[^1].WaitAsync().DefaultTimeout();
        await TestTimeouts.UntilAsync(() => _driver.LiveEvents == 0);
        fences.Should().OnlyContain(fence => fence.IsCompleted);
        stream.Invoking(each => each.Record()).Should().Throw<ObjectDisposedException>();
    }

    [Fact]
    public async Task Dispose_NobodyAwaitsItsFences_TheirEventsAreDestroyedAllTheSame()
    {
        var stream = _device.CreateStream();
        stream.Record();
        stream.WaitForStream(0);

        stream.Dispose();

        await TestTimeouts.UntilAsync(() => _driver.LiveEvents == 0);
    }
}
