using System.Diagnostics.CodeAnalysis;

namespace LpLlm.Memory.Pooling;

/// <summary>One rent that waits on several members. Not thread-safe: one flow of control starts, awaits and removes.</summary>
/// <param name="hops">The members that may serve it, in order.</param>
/// <param name="settings">Whether a member without room ends the walk.</param>
internal sealed class HybridWait(HybridHop[] hops, HybridPoolSettings settings)
{
    private readonly Task<PinnedLease>?[] _tasks = new Task<PinnedLease>?[hops.Length];
    private readonly PinnedMemoryExhaustedException?[] _reasons = new PinnedMemoryExhaustedException?[hops.Length];
    private readonly PinnedMemoryException?[] _failures = new PinnedMemoryException?[hops.Length];

    /// <summary>Members being waited on.</summary>
    public int Count => _tasks.Count(task => task is not null);

    /// <summary>Why members that work did not serve.</summary>
    public IReadOnlyList<PinnedMemoryExhaustedException> Reasons => [.. _reasons.OfType<PinnedMemoryExhaustedException>()];

    /// <summary>Why the first member that is out of order is so; null when all work.</summary>
    public PinnedMemoryException? Outage =>
        _failures.Select((failure, i) => failure ?? hops[i].Failure).FirstOrDefault(failure => failure is not null);

    /// <summary>Asks every member that works, is not being waited on and has not refused; one that failed and recovered is asked again.</summary>
    public void Start(RentRequest request, CancellationToken cancellationToken)
    {
        for (var i = 0; i < hops.Length; i++)
        {
            if (hops[i].Failure is not null)
            {
                continue;
            }

            if (_tasks[i] is null && _reasons[i] is null)
            {
                _tasks[i] = RentAsync(hops[i].Pool, request, cancellationToken);
            }

            if (!settings.FallBackOnExhaustion)
            {
                break;
            }
        }
    }

    /// <summary>Waits for an answer of a member, or for a recovery.</summary>
    public Task WhenAnyAsync(Task recovery) => _tasks.Any(task => task is { IsCompleted: true })
        ? Task.CompletedTask
        : Task.WhenAny(_tasks.OfType<Task>().Append(recovery));

    /// <summary>Takes out the first member in order that has answered.</summary>
    public bool TryRemoveCompleted([NotNullWhen(true)] out HybridHop? hop, [NotNullWhen(true)] out Task<PinnedLease>? task)
    {
        var i = Array.FindIndex(_tasks, candidate => candidate is { IsCompleted: true });
        (hop, task) = i < 0 ? (null, null) : (hops[i], _tasks[i]);
        if (i >= 0)
        {
            _tasks[i] = null;
        }

        return task is not null && hop is not null;
    }

    public void Refused(HybridHop hop, PinnedMemoryExhaustedException reason) => _reasons[Array.IndexOf(hops, hop)] = reason;

    public void Failed(HybridHop hop, PinnedMemoryException failure) => _failures[Array.IndexOf(hops, hop)] = failure;

    /// <summary>The reason on a lease from a member: nobody before it had room, or somebody before it was out of order.</summary>
    public LeasePlacement PlacementOf(HybridHop hop)
    {
        var place = Array.IndexOf(hops, hop);
        for (var i = 0; i < place; i++)
        {
            if (hops[i].Failure is not null || _failures[i] is not null)
            {
                return LeasePlacement.Unavailable;
            }
        }

        return place == 0 ? hop.OwnPlacement : LeasePlacement.Exhausted;
    }

    /// <summary>Gives up the members that have not answered; a lease that comes all the same goes back at once.</summary>
    public async Task AbandonAsync(CancellationTokenSource cancellation)
    {
        await cancellation.CancelAsync().ConfigureAwait(false);
        foreach (var task in _tasks.OfType<Task<PinnedLease>>())
        {
            await ((Task)task).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // the rent has its answer
            if (task.IsCompletedSuccessfully)
            {
                task.Result.Dispose();
            }
        }

        cancellation.Dispose();
    }

    // Awaited here, so that a member which throws before its first await is one that answered.
    private static async Task<PinnedLease> RentAsync(IPinnedMemoryPool pool, RentRequest request, CancellationToken cancellationToken) =>
        await pool.RentAsync(request, cancellationToken).ConfigureAwait(false);
}
