using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Engine;
using static LpLlm.Memory.Transport.EngineHarness;

namespace LpLlm.Memory.Transport;

public class PoolEngineWatchTests
{
    [Fact]
    public async Task Watch_ThatIsNeverRead_KeepsNothingOfLeasesThatWereLetGo()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        await using var events = harness.Engine.WatchAsync(session, CancellationToken.None).GetAsyncEnumerator();
        LeaseGrant lease;
        for (var i = 0; i < 100; i++)
        {
            lease = harness.Acquire(session, 1);
            harness.Engine.Revoke(lease.LeaseId, "gone");
            harness.Engine.Release(session, lease.LeaseId);
        }

        lease = harness.Acquire(session, 1);
        harness.Engine.Revoke(lease.LeaseId, "still held");

        (await events.MoveNextAsync().AsTask().DefaultTimeout()).Should().BeTrue();
        events.Current.Should().Be(new PoolEvent.Revoked(lease.LeaseId, "still held"));
    }

    [Fact]
    public async Task Trim_WhenThereIsNoRoom_IsAskedOfOthersThatHaveMemoryAndListen()
    {
        var harness = new EngineHarness();
        var (holder, deaf, empty, asker) = (harness.Open(), harness.Open(), harness.Open(), harness.Open());
        var lease = harness.Acquire(holder, 50);
        harness.Acquire(deaf, 40);
        await using var events = harness.Engine.WatchAsync(holder, CancellationToken.None).GetAsyncEnumerator();
        await using var none = harness.Engine.WatchAsync(empty, CancellationToken.None).GetAsyncEnumerator();

        // Now or never, but somebody was asked: it waits for the answer.
        var request = harness.AcquireAsync(asker, 30);

        (await NextAsync(events)).Should().Be(new PoolEvent.Trim(20 * Unit));
        request.IsCompleted.Should().BeFalse();
        harness.Engine.Release(holder, lease.LeaseId);
        Sent(request);
        harness.Statistics.TrimRequests.Should().Be(1);
    }

    [Fact]
    public void Trim_WithoutAnswer_RefusesWhenPatienceIsOver()
    {
        var harness = new EngineHarness();
        var holder = harness.Open();
        harness.Acquire(holder, 90);
        _ = harness.Engine.WatchAsync(holder, CancellationToken.None);

        var request = harness.AcquireAsync(harness.Open(), 30);
        var second = harness.AcquireAsync(harness.Open(), 30);
        harness.Advance(999);
        request.IsCompleted.Should().BeFalse();
        harness.Advance(1);

        Data(Fault(request)).Cause.Should().Be("Limit");
        Fault(second).Code.Should().Be(PoolFaultCode.ResourceExhausted);
        harness.Statistics.TrimRequests.Should().Be(1, "a client is not flooded");
    }

    [Fact]
    public void Trim_IsAskedAgainWhenPatienceIsOverOrSomethingCameBack()
    {
        var harness = new EngineHarness();
        var holder = harness.Open();
        var lease = harness.Acquire(holder, 50);
        harness.Acquire(holder, 50);
        _ = harness.Engine.WatchAsync(holder, CancellationToken.None);

        var request = harness.AcquireAsync(harness.Open(), 80, TimeSpan.FromSeconds(60));
        harness.Statistics.TrimRequests.Should().Be(1);
        harness.Advance(1000);
        harness.Statistics.TrimRequests.Should().Be(2);
        harness.Engine.Release(holder, lease.LeaseId);
        harness.Statistics.TrimRequests.Should().Be(3);
        request.IsCompleted.Should().BeFalse();
    }

    [Fact]
    public void Trim_OfTheAskerItself_IsNotAskedAndNotWaitedFor()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        harness.Acquire(session, 90);
        _ = harness.Engine.WatchAsync(session, CancellationToken.None);

        Fault(harness.AcquireAsync(session, 30)).Code.Should().Be(PoolFaultCode.ResourceExhausted);
        harness.Statistics.TrimRequests.Should().Be(0);
    }

    [Fact]
    public async Task Watch_BegunLate_TellsWhatStillHolds()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        var lease = harness.Acquire(session, 10);
        harness.Engine.Revoke(lease.LeaseId, "test");
        harness.Engine.Drain(TimeSpan.FromSeconds(7));

        await using var events = harness.Engine.WatchAsync(session, CancellationToken.None).GetAsyncEnumerator();

        (await NextAsync(events)).Should().Be(new PoolEvent.Revoked(lease.LeaseId, "test"));
        (await NextAsync(events)).Should().Be(new PoolEvent.Shutdown(TimeSpan.FromSeconds(7)));
    }

    [Fact]
    public async Task Watch_ByASecondReader_EndsTheFirst()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        var lease = harness.Acquire(session, 10);
        await using var first = harness.Engine.WatchAsync(session, CancellationToken.None).GetAsyncEnumerator();
        var pending = first.MoveNextAsync().AsTask();

        await using var second = harness.Engine.WatchAsync(session, CancellationToken.None).GetAsyncEnumerator();

        (await pending.DefaultTimeout()).Should().BeFalse();
        harness.Engine.Revoke(lease.LeaseId, "test");
        (await NextAsync(second)).Should().BeOfType<PoolEvent.Revoked>();
    }

    [Theory]
    [InlineData("exit")]
    [InlineData("close")]
    [InlineData("disconnect")]
    [InlineData("dispose")]
    public async Task Watch_EndsWithTheSession(string how)
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        await using var events = harness.Engine.WatchAsync(session, CancellationToken.None).GetAsyncEnumerator();
        var pending = events.MoveNextAsync().AsTask();

        switch (how)
        {
            case "exit":
                harness.Engine.Exited(session);
                break;
            case "close":
                harness.Engine.Close(session);
                break;
            case "disconnect":
                harness.Engine.Disconnect(session);
                break;
            default:
                await harness.Engine.DisposeAsync();
                (await pending.DefaultTimeout()).Should().BeTrue("it is told first");
                pending = events.MoveNextAsync().AsTask();
                break;
        }

        (await pending.DefaultTimeout()).Should().BeFalse();
    }

    [Fact]
    public async Task Watch_WhoseTokenFires_Ends()
    {
        var harness = new EngineHarness();
        using var cancellation = new CancellationTokenSource();
        await using var events = harness.Engine.WatchAsync(harness.Open(), cancellation.Token).GetAsyncEnumerator();
        var pending = events.MoveNextAsync().AsTask();

        await cancellation.CancelAsync();

        await pending.Invoking(task => task.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
    }

    private static async Task<PoolEvent> NextAsync(IAsyncEnumerator<PoolEvent> events)
    {
        (await events.MoveNextAsync().AsTask().DefaultTimeout()).Should().BeTrue();
        return events.Current;
    }
}
