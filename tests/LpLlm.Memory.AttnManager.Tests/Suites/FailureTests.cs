namespace LpLlm.Memory.Attention.Tests;

/// <summary>P1: a request that fails faults its own task, keeps no memory and leaves its sequences as they were.</summary>
public abstract class FailureTests : AttnTestBase
{
    // Three rows of 20, 40 and 1 tokens over sequences of 10, 16 and 0: 1 + 3 + 1 new pages, then the result is the 6th rent.
    [SkippableTheory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public Task Submit_P1_PoolFailsAtAnyRent_RollsEveryRowBack(int failingRent) => ShouldRollBackAtRentAsync(failingRent);

    protected async Task ShouldRollBackAtRentAsync(int failingRent)
    {
        var manager = CreateManager(options => options.PoolSize = 7 * 2048); // exactly what they need in the end
        var shape = Shape();
        var cache = manager.CreateCache(shape);
        int[] before = [10, 16, 0];
        int[] added = [20, 40, 1];
        var all = before.Select((count, i) => Tokens.Random(i, count + added[i], 4, shape)).ToArray();
        var rows = all.Select((tokens, i) => (Sequence: cache.CreateSequence(), Tokens: tokens.Slice(before[i], added[i]))).ToArray();
        await manager.AttendAsync(rows[0].Sequence, all[0].Slice(0, 10));
        await manager.AttendAsync(rows[1].Sequence, all[1].Slice(0, 16));
        Pool.FailingRent = Pool.TotalRents + failingRent;

        var act = () => manager.AttendAsync(0, rows);

        (await act.Should().ThrowAsync<PinnedMemoryExhaustedException>()).Which.PoolName.Should().Be("fake");
        rows.Select(row => row.Sequence.GetLength(0)).Should().Equal(before);
        cache.PageCount.Should().Be(2);
        Pool.LiveLeases.Should().Be(2);
        var results = await manager.AttendAsync(0, rows);
        for (var i = 0; i < rows.Length; i++)
        {
            results[i].ShouldMatch(Oracle.Attend(all[i], added[i]));
        }
    }

    [SkippableFact]
    public async Task Submit_P1_FailureBetweenTwoRequests_LeavesBothAlone()
    {
        var manager = CreateManager();
        var cache = manager.CreateCache(Shape());
        var tokens = Enumerable.Range(0, 3).Select(i => Tokens.Random(i, 9, 4, Shape())).ToArray();
        var pages = 0;
        Pool.Renting = bytes =>
        {
            if (bytes == cache.PageBytes && ++pages == 2)
            {
                throw new PinnedMemoryExhaustedException("fake", ExhaustionCause.Limit, bytes, bytes, Pool.GetSnapshot());
            }
        };

        var tasks = tokens.Select(each => manager.AttendAsync(cache.CreateSequence(), each)).ToArray();

        (await tasks[0].WaitAsync(Deadline)).ShouldMatch(Oracle.Attend(tokens[0], 9));
        await FluentActions.Awaiting(() => tasks[1].WaitAsync(Deadline)).Should().ThrowAsync<PinnedMemoryExhaustedException>();
        (await tasks[2].WaitAsync(Deadline)).ShouldMatch(Oracle.Attend(tokens[2], 9));
    }

    [SkippableFact]
    public async Task Submit_P1_PoolSizeReached_FailsWithCauseLimitAndRecovers()
    {
        var pageBytes = 16 * 2 * 2 * 8 * sizeof(float);
        var manager = CreateManager(options => options.PoolSize = (4 * pageBytes) - 1);
        var cache = manager.CreateCache(Shape());
        var tokens = Tokens.Random(1, 32, 4, Shape());
        var (first, second) = (cache.CreateSequence(), cache.CreateSequence());
        await manager.AttendAsync(first, tokens);

        var act = () => manager.AttendAsync(second, tokens);

        var failure = (await act.Should().ThrowAsync<PinnedMemoryExhaustedException>()).Which;
        failure.Cause.Should().Be(ExhaustionCause.Limit);
        failure.IsTransient.Should().BeTrue();
        failure.RequestedBytes.Should().Be(pageBytes);
        failure.Snapshot.UsedBytes.Should().Be(3 * pageBytes);
        failure.Message.Should().Contain("PoolSize").And.Contain("'fake");
        (cache.PageCount, second.GetLength(0)).Should().Be((2, 0));
        first.Truncate(16);
        (await manager.AttendAsync(second, tokens)).ShouldMatch(Oracle.Attend(tokens, 32));
        cache.PageCount.Should().Be(3);
    }

    [SkippableFact]
    public async Task Submit_ManyRequestsUnderPoolSize_LimitHoldsAtEveryInstant()
    {
        var pageBytes = 16 * 2 * 2 * 8 * sizeof(float);
        var manager = CreateManager(options => options.PoolSize = 4 * pageBytes);
        var cache = manager.CreateCache(Shape());
        var mostPages = 0;
        Pool.Renting = _ => mostPages = Math.Max(mostPages, cache.PageCount);

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 40).Select(Attend)).WaitAsync(Deadline);

        mostPages.Should().BeInRange(2, 4);
        outcomes.Should().Contain(true);

        async Task<bool> Attend(int seed)
        {
            using var sequence = cache.CreateSequence();
            try
            {
                await manager.AttendAsync(sequence, Tokens.Random(seed, 1 + (seed * 7 % 70), 4, Shape()));
                return true;
            }
            catch (PinnedMemoryExhaustedException failure)
            {
                failure.Cause.Should().Be(ExhaustionCause.Limit);
                return false;
            }
        }
    }

    [SkippableFact]
    public async Task Submit_PageAbovePoolSize_FailureIsNotTransient()
    {
        var manager = CreateManager(options => options.PoolSize = 100);
        var sequence = manager.CreateCache(Shape()).CreateSequence();

        var act = () => manager.AttendAsync(sequence, Tokens.Random(1, 1, 4, Shape()));

        (await act.Should().ThrowAsync<PinnedMemoryExhaustedException>()).Which.IsTransient.Should().BeFalse();
    }
}
