using LpLlm.Memory.Pooling;

namespace LpLlm.Memory.Tests.FixedBlock;

public class LinearizabilityTests : FixedBlockFixture
{
    private const int Threads = 3;
    private const int OperationsPerThread = 5;
    private const int Rounds = 1000;
    private long _tick;

    [Fact]
    public void Checker_ARightHistory_IsAccepted()
    {
        // The second rent fails although its call begins before the first rent's has ended: it took effect behind it.
        LinearizabilityChecker.IsLinearizable(
            [Rent(0, 5, 0b01), Rent(1, 4, 0, count: 1), Return(6, 7, 0b01), Rent(8, 9, 0b01)], 0b01).Should().BeTrue();
    }

    [Theory]
    [MemberData(nameof(WrongHistories))]
    public void Checker_AWrongHistory_IsRejected(string why, HistoryOperation[] history) =>
        LinearizabilityChecker.IsLinearizable(history, 0b11).Should().BeFalse(why);

    public static TheoryData<string, HistoryOperation[]> WrongHistories() => new()
    {
        { "a rent fails while a block is free", [Rent(0, 1, 0b01), Rent(2, 3, 0, count: 1)] },
        { "a block is handed out twice", [Rent(0, 3, 0b01), Rent(1, 4, 0b01)] },
        { "a batch fails although both are free", [Rent(0, 1, 0, count: 2)] },
        { "a failing batch hides a block", [Rent(0, 1, 0b01), Rent(2, 5, 0, count: 2), Rent(3, 4, 0, count: 1)] },
        { "a block is free before its return began", [Rent(0, 1, 0b11, count: 2), Rent(2, 3, 0b01), Return(4, 5, 0b01)] },
    };

    [Theory]
    [InlineData(2, 2, 0)]
    [InlineData(3, 3, 0)]
    [InlineData(8, 2, 32)]
    [InlineData(8, 3, 32)]
    [InlineData(16, 3, 32)]
    public async Task EveryHistory_IsThatOfAPlainSet(int blocks, int inPlay, int threadCacheBlocks)
    {
        using var sut = CreateSut(blocks, threadCacheBlocks: threadCacheBlocks);
        var bits = new Dictionary<nint, int>();
        var rest = new PinnedLease[blocks];
        sut.TryRentBlocks(rest).Should().BeTrue();
        for (var i = 0; i < inPlay; i++)
        {
            bits.Add(rest[i].Address, 1 << i);
            rest[i].Dispose();
        }

        using var start = new Barrier(Threads);
        var threads = Enumerable.Range(0, Threads).Select(id => Task.Factory.StartNew(
            () =>
            {
                var random = new Random((1000 * blocks) + id);
                var parts = new List<List<HistoryOperation>>();
                for (var round = 0; round < Rounds; round++)
                {
                    start.SignalAndWait(TimeSpan.FromSeconds(30)).Should().BeTrue();
                    parts.Add(Play(sut, bits, random));
                }

                return parts;
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default)).ToList();

        var played = await Task.WhenAll(threads).DefaultTimeout();

        var failures = 0;
        for (var round = 0; round < Rounds; round++)
        {
            var history = played.SelectMany(parts => parts[round]).ToList();
            failures += history.Count(operation => operation is { IsReturn: false, Blocks: 0 });
            LinearizabilityChecker.IsLinearizable(history, (1 << inPlay) - 1).Should().BeTrue(string.Join(Environment.NewLine, history));
        }

        failures.Should().BePositive("histories without a failing rent show little");
        Array.ForEach(rest[inPlay..], lease => lease.Dispose());
    }

    private List<HistoryOperation> Play(FixedBlockPool pool, Dictionary<nint, int> bits, Random random)
    {
        var history = new List<HistoryOperation>();
        var held = new Queue<PinnedLease>();
        for (var i = 0; i < OperationsPerThread; i++)
        {
            var choice = random.Next(5);
            if (choice >= 3 && held.TryDequeue(out var oldest))
            {
                history.Add(GiveBack(oldest, bits));
                continue;
            }

            var leases = new PinnedLease[choice == 2 ? 2 : 1];
            var invoked = Interlocked.Increment(ref _tick);
            var rented = leases.Length == 2 ? pool.TryRentBlocks(leases) : pool.TryRent(1, out leases[0]!);
            var answered = Interlocked.Increment(ref _tick);
            var mask = rented ? leases.Sum(lease => bits[lease.Address]) : 0;
            history.Add(new HistoryOperation(invoked, answered, false, mask, leases.Length));
            Array.ForEach(rented ? leases : [], held.Enqueue);
        }

        history.AddRange(held.Select(lease => GiveBack(lease, bits)));
        return history;
    }

    private HistoryOperation GiveBack(PinnedLease lease, Dictionary<nint, int> bits)
    {
        var mask = bits[lease.Address];
        var invoked = Interlocked.Increment(ref _tick);
        lease.Dispose();
        return new HistoryOperation(invoked, Interlocked.Increment(ref _tick), true, mask, 1);
    }

    private static HistoryOperation Rent(long invoked, long answered, int blocks, int count = 1) => new(invoked, answered, false, blocks, count);

    private static HistoryOperation Return(long invoked, long answered, int blocks) => new(invoked, answered, true, blocks, 1);
}
