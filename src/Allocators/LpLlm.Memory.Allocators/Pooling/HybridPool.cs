using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Pooling;

/// <summary>
/// A pool over pools, which are asked in order: size classes for rents of exactly their length, then a chain, then perhaps pageable memory.
/// A member without room or out of order is passed by, and the lease says so. This part rents at once; waiting, the members' health and
/// disposal are in the other parts.
/// </summary>
/// <remarks>
/// Holds no lock. What a rent costs beyond its member's own is three interlocked additions, and three at the return. A member that has blocks
/// pending behind fences may wait for them as long as its own FenceTimeout says before it is passed by: order is preference.
/// </remarks>
internal sealed partial class HybridPool : IPinnedMemoryPool, IHybridPool, IOpenablePool
{
    private readonly HybridPoolSettings _settings;
    private readonly HybridHop[] _hops;
    private readonly IPinnedMemoryPool[] _leaves;
    private readonly LeaseRundown _rundown;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private long _totalRents;
    private long _failedRents;

    /// <param name="settings">The rules.</param>
    /// <param name="members">At least one, in the order in which they are asked.</param>
    /// <param name="logger">Gets each change of a member's availability.</param>
    /// <param name="time">Clock of probes and deadlines.</param>
    public HybridPool(HybridPoolSettings settings, IReadOnlyList<HybridMember> members, ILogger logger, TimeProvider? time = null)
    {
        _settings = settings;
        _rundown = new LeaseRundown(settings.Name);
        _hops = [.. members.Select(member => new HybridHop(member, _rundown))];
        _leaves = [.. members.SelectMany(member => member.Pool is HybridPool inner ? inner._leaves : [member.Pool]).Distinct()];
        _logger = logger;
        _time = time ?? TimeProvider.System;
    }

    public string Name => _settings.Name;

    public PoolCapabilities Capabilities
    {
        get
        {
            var all = _hops[0].Pool.Capabilities;
            foreach (var hop in _hops)
            {
                all &= hop.Pool.Capabilities;
            }

            return all;
        }
    }

    public PinnedLease Rent(long lengthBytes, int alignmentBytes = 256)
    {
        RentArguments.Check(lengthBytes, alignmentBytes);
        _rundown.Enter();
        PinnedLease? lease = null;
        try
        {
            return lease = Take(lengthBytes, alignmentBytes, out _) ?? Ask(lengthBytes, alignmentBytes);
        }
        finally
        {
            Count(lease);
        }
    }

    public bool TryRent(long lengthBytes, [NotNullWhen(true)] out PinnedLease? lease, int alignmentBytes = 256)
    {
        RentArguments.Check(lengthBytes, alignmentBytes);
        _rundown.Enter();
        lease = null;
        try
        {
            lease = Take(lengthBytes, alignmentBytes, out var metUnavailable);
            if (lease is null && !metUnavailable)
            {
                Interlocked.Increment(ref _failedRents);
            }
            else
            {
                lease ??= Ask(lengthBytes, alignmentBytes); // throws the failure, unless a member that works could serve it later
            }
        }
        catch (PinnedMemoryExhaustedException)
        {
            // That is what false says.
        }
        finally
        {
            Count(lease);
        }

        return lease is not null;
    }

    /// <remarks>
    /// Bytes and leases are the members' own, with what others rented from them; the counters of rents are the hybrid pool's. A pool that two
    /// members reach counts once, unless one of them is a hybrid pool in a wrapper: that one is asked as a whole, because a wrapper may change
    /// what it shows (a limit does), so what is below it counts again.
    /// </remarks>
    public PoolSnapshot GetSnapshot()
    {
        var sum = default(PoolSnapshot);
        foreach (var leaf in _leaves)
        {
            var part = leaf.GetSnapshot();
            sum = sum with
            {
                CapacityBytes = sum.CapacityBytes + part.CapacityBytes,
                ReservedBytes = sum.ReservedBytes + part.ReservedBytes,
                PageableBytes = sum.PageableBytes + part.PageableBytes,
                UsedBytes = sum.UsedBytes + part.UsedBytes,
                PendingBytes = sum.PendingBytes + part.PendingBytes,
                CachedBytes = sum.CachedBytes + part.CachedBytes,
                QuarantinedBytes = sum.QuarantinedBytes + part.QuarantinedBytes,
                LargestFreeBytes = Math.Max(sum.LargestFreeBytes, part.LargestFreeBytes),
                PeakUsedBytes = sum.PeakUsedBytes + part.PeakUsedBytes, // an upper bound: peaks of different instants
                LiveLeases = sum.LiveLeases + part.LiveLeases,
            };
        }

        return sum with
        {
            WaitingRents = Volatile.Read(ref _waiting),
            TotalRents = Interlocked.Read(ref _totalRents),
            FailedRents = Interlocked.Read(ref _failedRents),
        };
    }

    public IReadOnlyList<HopStatistics> GetHops() => [.. _hops.Select(hop => hop.GetStatistics())];

    /// <remarks>Trims chain members too: idle memory is idle for whoever else uses them. The last member is trimmed first.</remarks>
    public long Trim(long keepBytes = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(keepBytes);
        _rundown.ThrowIfClosed();
        long released = 0;
        foreach (var hop in _hops.Reverse().Where(hop => hop.Failure is null))
        {
            var elsewhere = GetSnapshot().ReservedBytes - hop.Pool.GetSnapshot().ReservedBytes;
            released += hop.Pool.Trim(Math.Max(0, keepBytes - elsewhere));
        }

        return released;
    }

    /// <summary>Asks the members in order, once each.</summary>
    private PinnedLease? Take(long lengthBytes, int alignmentBytes, out bool metUnavailable)
    {
        var walk = default(HybridWalk);
        PinnedLease? lease = null;
        foreach (var hop in _hops)
        {
            if (!hop.Member.MayServe(lengthBytes, alignmentBytes))
            {
                continue;
            }

            if (!TryTake(hop, lengthBytes, alignmentBytes, out var taken))
            {
                walk.Unavailable(hop);
            }
            else if (taken is not null)
            {
                lease = hop.Serve(taken, walk.PlacementOf(hop));
                break;
            }
            else
            {
                walk.Exhausted(hop);
                if (!_settings.FallBackOnExhaustion)
                {
                    break;
                }
            }
        }

        metUnavailable = walk.MetUnavailable;
        return lease;
    }

    /// <returns>Whether the member works; it may have no room all the same.</returns>
    private bool TryTake(HybridHop hop, long lengthBytes, int alignmentBytes, out PinnedLease? lease)
    {
        lease = null;
        if (hop.Failure is not null)
        {
            return false;
        }

        try
        {
            hop.Pool.TryRent(lengthBytes, out lease, alignmentBytes);
            return true;
        }
        catch (PinnedMemoryException failure) when (IsUnavailability(failure))
        {
            MarkUnavailable(hop, failure);
            return false;
        }
    }

    /// <summary>Asks all once more, so that each member says why it has no room.</summary>
    private PinnedLease Ask(long lengthBytes, int alignmentBytes) =>
        WaitAsync(new RentRequest(lengthBytes) { AlignmentBytes = alignmentBytes }, TimeSpan.Zero, CancellationToken.None)
            .GetAwaiter().GetResult();

    private void Count(PinnedLease? lease)
    {
        if (lease is not null)
        {
            Interlocked.Increment(ref _totalRents);
        }
        else
        {
            _rundown.Exit();
        }
    }
}
