using LpLlm.Memory.Pooling;

namespace LpLlm.Memory.Tests.Pooling;

/// <summary>The queue alone, with a taker that the test controls.</summary>
public sealed class RentQueueTests : IDisposable
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(60);

    private readonly FakePool _pool = new(capacityBytes: 1000);
    private readonly CancellationTokenSource _cancellation = new();
    private readonly RentQueue _sut;
    private Func<RentRequest, PinnedLease?> _tryTake;

    public RentQueueTests()
    {
        _tryTake = request => _pool.TryRent(request.LengthBytes, out var lease) ? lease : null;
        _sut = new RentQueue(TimeProvider.System, request => _tryTake(request));
    }

    public void Dispose() => _cancellation.Dispose();

    [Fact]
    public async Task Wait_GivesUpWhileItIsServed_GetsTheLeaseThatWasTakenForIt()
    {
        using var all = _pool.Rent(1000);
        var waiting = _sut.WaitAsync(new RentRequest(1000), Long, _cancellation.Token);
        all.Dispose();
        _tryTake = request =>
        {
            var lease = _pool.Rent(request.LengthBytes);
            _cancellation.Cancel();
            return lease;
        };

        _sut.Serve();

        (await waiting.DefaultTimeout()).Dispose();
        _pool.LiveLeases.Should().Be(0, "nobody's lease would have been a rent that another failed for");
    }

    [Fact]
    public async Task Wait_GivesUpWhileNothingIsFoundForIt_EndsAndLetsTheNextOneIn()
    {
        using var all = _pool.Rent(1000);
        var first = _sut.WaitAsync(new RentRequest(1000), Long, _cancellation.Token);
        var second = _sut.WaitAsync(new RentRequest(10), Long, default);
        all.Dispose();
        _tryTake = request =>
        {
            if (request.LengthBytes == 10)
            {
                return _pool.Rent(10);
            }

            _cancellation.Cancel();
            return null;
        };

        _sut.Serve();

        await first.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        (await second.DefaultTimeout()).Dispose();
    }

    [Fact]
    public async Task Serve_OthersNeverStopReturning_DoesNotHoldItsCaller()
    {
        using var all = _pool.Rent(1000);
        var waiting = _sut.WaitAsync(new RentRequest(1000), TimeSpan.FromMilliseconds(50), default);
        _tryTake = _ =>
        {
            _sut.Serve(); // somebody else returns something too small, each time it looks
            return null;
        };

        await Task.Run(_sut.Serve).DefaultTimeout();

        await waiting.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<TimeoutException>();
        _tryTake = _ => null;
    }

    [Fact]
    public async Task Serve_TakerFails_OnlyTheOneInFrontFails()
    {
        using var all = _pool.Rent(1000);
        var first = _sut.WaitAsync(new RentRequest(1000), Long, default);
        var second = _sut.WaitAsync(new RentRequest(10), Long, default);
        all.Dispose();
        _tryTake = request => request.LengthBytes == 1000 ? throw new PoolServerUnavailableException("fake", "gone") : _pool.Rent(10);

        _sut.Serve();

        await first.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();
        (await second.DefaultTimeout()).Dispose();
    }

    [Fact]
    public async Task Serve_CalledWhileAnotherServes_IsNotLost()
    {
        using var all = _pool.Rent(1000);
        var waiting = _sut.WaitAsync(new RentRequest(1000), Long, default);
        var calls = 0;
        _tryTake = request =>
        {
            if (calls++ > 0)
            {
                return _pool.Rent(request.LengthBytes);
            }

            // Memory comes free just after this taker looked: whoever returned it finds the queue being served.
            all.Dispose();
            _sut.Serve();
            return null;
        };

        _sut.Serve();

        (await waiting.DefaultTimeout()).Dispose();
        calls.Should().Be(2);
    }

    [Fact]
    public async Task Wait_MemoryCameFreeBefore_IsServedAtOnce()
    {
        (await _sut.WaitAsync(new RentRequest(10), TimeSpan.Zero, default).DefaultTimeout()).Dispose();

        _sut.Count.Should().Be(0);
    }

    [Fact]
    public async Task Close_FailsWhoWaitsAndWhoComesLater()
    {
        using var all = _pool.Rent(1000);
        var waiting = _sut.WaitAsync(new RentRequest(10), Long, default);

        _sut.Close(new ObjectDisposedException("pool"));

        await waiting.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<ObjectDisposedException>();
        await _sut.Awaiting(queue => queue.WaitAsync(new RentRequest(10), Long, default).DefaultTimeout()).Should().ThrowAsync<ObjectDisposedException>();
        _sut.Count.Should().Be(0);
    }
}
