namespace LpLlm.Memory.Attention.Tests;

/// <summary>Queueing, cancelling, disposing.</summary>
public abstract class LifetimeTests : AttnTestBase
{
    private readonly Tokens _tokens = Tokens.Random(1, 20, 4, Shape());

    [SkippableFact]
    public async Task Submit_CancelledWhileQueued_IsTakenBack()
    {
        var manager = CreateManager();
        var cache = manager.CreateCache(Shape());
        var (first, second) = (cache.CreateSequence(), cache.CreateSequence());
        using var gate = new RentGate(Pool);
        using var cancellation = new CancellationTokenSource();
        var running = manager.AttendAsync(first, _tokens);
        await gate.Entered;
        var queued = manager.SubmitAsync(Tokens.Request(0, null, (second, _tokens)), cancellation.Token);

        await cancellation.CancelAsync();

        (await FluentActions.Awaiting(() => queued.WaitAsync(Deadline)).Should().ThrowAsync<OperationCanceledException>())
            .Which.CancellationToken.Should().Be(cancellation.Token);
        gate.Open();
        (await running.WaitAsync(Deadline)).ShouldMatch(Oracle.Attend(_tokens, 20));
        second.GetLength(0).Should().Be(0);
        (await manager.AttendAsync(second, _tokens)).ShouldMatch(Oracle.Attend(_tokens, 20));
    }

    [SkippableFact]
    public async Task Submit_TokenAlreadyCancelled_ThrowsAndFreesTheSequence()
    {
        var manager = CreateManager();
        var sequence = manager.CreateCache(Shape()).CreateSequence();

        var act = () => manager.SubmitAsync(Tokens.Request(0, null, (sequence, _tokens)), new CancellationToken(true)).WaitAsync(Deadline);

        await act.Should().ThrowAsync<OperationCanceledException>();
        (await manager.AttendAsync(sequence, _tokens)).ShouldMatch(Oracle.Attend(_tokens, 20));
    }

    [SkippableFact]
    public async Task Submit_QueueFull_WaitsAndCanBeCancelled()
    {
        var manager = CreateManager(options => options.QueueLength = 1);
        var cache = manager.CreateCache(Shape());
        using var gate = new RentGate(Pool);
        using var cancellation = new CancellationTokenSource();
        var running = manager.AttendAsync(cache.CreateSequence(), _tokens);
        await gate.Entered;
        var queued = manager.AttendAsync(cache.CreateSequence(), _tokens);
        var sequence = cache.CreateSequence();
        var waiting = manager.SubmitAsync(Tokens.Request(0, null, (sequence, _tokens)), cancellation.Token);
        var lastInLine = manager.AttendAsync(cache.CreateSequence(), _tokens);
        waiting.IsCompleted.Should().BeFalse();

        await cancellation.CancelAsync();

        await FluentActions.Awaiting(() => waiting.WaitAsync(Deadline)).Should().ThrowAsync<OperationCanceledException>();
        gate.Open();
        await Task.WhenAll(running, queued, lastInLine).WaitAsync(Deadline);
        (await manager.AttendAsync(sequence, _tokens)).ShouldMatch(Oracle.Attend(_tokens, 20));
    }

    [SkippableFact]
    public async Task Submit_P11_RequestsInFlight_EachHasItsOwnResult()
    {
        var manager = CreateManager(options => options.QueueLength = 3);
        var cache = manager.CreateCache(Shape());
        var tokens = Enumerable.Range(0, 30).Select(i => Tokens.Random(i, i + 1, 4, Shape())).ToArray();

        var results = await Task.WhenAll(tokens.Select(each => manager.AttendAsync(cache.CreateSequence(), each))).WaitAsync(Deadline);

        for (var i = 0; i < 30; i++)
        {
            results[i].ShouldMatch(Oracle.Attend(tokens[i], i + 1));
        }
    }

    [SkippableTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Submit_SequenceInAnotherRequest_Throws(bool alreadyRunning)
    {
        var manager = CreateManager();
        var cache = manager.CreateCache(Shape());
        var (sequence, other) = (cache.CreateSequence(), cache.CreateSequence());
        using var gate = new RentGate(Pool);
        var ahead = alreadyRunning ? Task.FromResult(Array.Empty<float>()) : manager.AttendAsync(cache.CreateSequence(), _tokens);
        var first = manager.AttendAsync(sequence, _tokens);
        await gate.Entered;

        await FluentActions.Awaiting(() => manager.AttendAsync(0, (other, _tokens), (sequence, _tokens)).WaitAsync(Deadline))
            .Should().ThrowAsync<InvalidOperationException>().WithMessage("*still running*");
        FluentActions.Invoking(() => sequence.Truncate(0)).Should().Throw<InvalidOperationException>();

        gate.Open();
        await Task.WhenAll(ahead, first).WaitAsync(Deadline);
        (await manager.AttendAsync(other, _tokens)).ShouldMatch(Oracle.Attend(_tokens, 20));
        sequence.GetLength(0).Should().Be(20);
    }

    [SkippableFact]
    public async Task DisposeSequence_WhileRunning_RequestEndsAndPagesGoBack()
    {
        var manager = CreateManager();
        var cache = manager.CreateCache(Shape());
        var sequence = cache.CreateSequence();
        await manager.AttendAsync(sequence, _tokens);
        using var gate = new RentGate(Pool);
        var running = manager.AttendAsync(sequence, _tokens);
        await gate.Entered;

        sequence.Dispose();
        cache.PageCount.Should().Be(2, "the running request reads them");
        gate.Open();

        (await running.WaitAsync(Deadline)).Should().HaveCount(20 * 4 * 8);
        cache.PageCount.Should().Be(0);
        FluentActions.Invoking(() => sequence.Truncate(0)).Should().Throw<ObjectDisposedException>();
    }

    [SkippableFact]
    public async Task DisposeSequence_WhileQueued_FailsThatRequestOnly()
    {
        var manager = CreateManager();
        var cache = manager.CreateCache(Shape());
        var sequence = cache.CreateSequence();
        await manager.AttendAsync(sequence, _tokens);
        using var gate = new RentGate(Pool);
        var running = manager.AttendAsync(cache.CreateSequence(), _tokens);
        await gate.Entered;
        var queued = manager.AttendAsync(sequence, _tokens);

        sequence.Dispose();
        cache.PageCount.Should().Be(0, "nothing reads them yet");
        gate.Open();

        await FluentActions.Awaiting(() => queued.WaitAsync(Deadline)).Should().ThrowAsync<ArgumentException>().WithMessage("*disposed*");
        (await running.WaitAsync(Deadline)).ShouldMatch(Oracle.Attend(_tokens, 20));
    }

    [SkippableFact]
    public async Task DisposeCache_FreesItsSequencesOnly()
    {
        var manager = CreateManager();
        var (cache, other) = (manager.CreateCache(Shape()), manager.CreateCache(Shape()));
        await manager.AttendAsync(cache.CreateSequence(), _tokens);
        await manager.AttendAsync(cache.CreateSequence(), _tokens);
        await manager.AttendAsync(other.CreateSequence(), _tokens);

        cache.Dispose();
        cache.Dispose();

        (cache.PageCount, other.PageCount, Pool.LiveLeases).Should().Be((0, 2, 2));
        FluentActions.Invoking(cache.CreateSequence).Should().Throw<ObjectDisposedException>();
    }

    [SkippableFact]
    public async Task Dispose_RequestRunningOthersWaiting_FinishesOneFailsTheOthers()
    {
        var manager = CreateManager(options => options.QueueLength = 1);
        var cache = manager.CreateCache(Shape());
        using var gate = new RentGate(Pool);
        var running = manager.AttendAsync(cache.CreateSequence(), _tokens);
        await gate.Entered;
        var queued = manager.AttendAsync(cache.CreateSequence(), _tokens);
        var waiting = manager.AttendAsync(cache.CreateSequence(), _tokens);

        var disposing = manager.DisposeAsync().AsTask();
        disposing.IsCompleted.Should().BeFalse("a request is being computed");
        gate.Open();
        await disposing.WaitAsync(Deadline);

        cache.PageCount.Should().Be(0);
        (await running.WaitAsync(Deadline)).ShouldMatch(Oracle.Attend(_tokens, 20));
        foreach (var refused in new[] { queued, waiting })
        {
            await FluentActions.Awaiting(() => refused.WaitAsync(Deadline)).Should().ThrowAsync<ObjectDisposedException>();
        }
    }

    [SkippableTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Dispose_Twice_IsIdempotentAndRefusesUse(bool used)
    {
        var manager = CreateManager();
        var sequence = manager.CreateCache(Shape()).CreateSequence();
        if (used)
        {
            await manager.AttendAsync(sequence, _tokens);
        }

        await Task.WhenAll(Task.Run(manager.Dispose), Task.Run(manager.Dispose), manager.DisposeAsync().AsTask()).WaitAsync(Deadline);
        await manager.DisposeAsync().AsTask().WaitAsync(Deadline);

        Pool.LiveLeases.Should().Be(0);
        Pool.IsDisposed.Should().BeFalse("the pool is not the manager's");
        FluentActions.Invoking(() => manager.CreateCache(Shape())).Should().Throw<ObjectDisposedException>();
        await FluentActions.Awaiting(() => manager.AttendAsync(sequence, _tokens)).Should().ThrowAsync<ObjectDisposedException>();
        sequence.Dispose();
    }

    [SkippableFact]
    public async Task Dispose_ResultsStayTheCallers()
    {
        var manager = CreateManager();
        var sequence = manager.CreateCache(Shape()).CreateSequence();
        using var result = await manager.SubmitAsync(Tokens.Request(0, null, (sequence, _tokens))).WaitAsync(Deadline);

        await manager.DisposeAsync().AsTask().WaitAsync(Deadline);

        result.AsSpan().ToArray().ShouldMatch(Oracle.Attend(_tokens, 20));
    }
}
