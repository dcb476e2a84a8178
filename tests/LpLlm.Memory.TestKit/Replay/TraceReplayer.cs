using System.Diagnostics;
using System.Runtime.ExceptionServices;

namespace LpLlm.Memory.TestKit.Replay;

/// <summary>Plays a trace against a pool, as fast as the order of <see cref="ReplayOrder"/> allows.</summary>
/// <remarks>
/// Touches no memory of the leases, so the pool's source may be simulated and of any size. Every rent is a <c>TryRent</c>, and a return behind
/// a fence is a return: how long a caller or a device took is no property of the pool.
/// </remarks>
public sealed class TraceReplayer
{
    private readonly IPinnedMemoryPool _pool;
    private readonly IReadOnlyList<ReplayPart> _parts;
    private readonly CancellationTokenSource _stop;
    private readonly ReplayOrder _order;
    private readonly ReplayCounts[] _counts;
    private long _live;
    private long _peak;

    private TraceReplayer(Trace trace, IPinnedMemoryPool pool, int? threads, CancellationTokenSource stop)
    {
        _pool = pool;
        _stop = stop;
        _parts = ReplayPart.Divide(trace, threads);
        _order = new ReplayOrder(_parts, trace.Rents, stop.Token);
        _counts = [.. _parts.Select(part => new ReplayCounts(part.Events.Length))];
    }

    /// <summary>Replays a trace. Nothing is rented any more when it ends.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="pool">The pool, with nothing rented.</param>
    /// <param name="threads">
    /// Threads at most, at least 1; default null: as many as were traced. With one, events happen in exactly the order of the trace.
    /// </param>
    /// <exception cref="Exception">Whatever the pool threw that is not "no room".</exception>
    public static ReplayResult Run(Trace trace, IPinnedMemoryPool pool, int? threads = null)
    {
        ArgumentNullException.ThrowIfNull(trace);
        ArgumentNullException.ThrowIfNull(pool);
        ArgumentOutOfRangeException.ThrowIfLessThan(threads ?? 1, 1);
        using var stop = new CancellationTokenSource();
        return new TraceReplayer(trace, pool, threads, stop).Run();
    }

    private ReplayResult Run()
    {
        var started = Stopwatch.GetTimestamp();
        try
        {
            Task.WaitAll([.. Enumerable.Range(0, _parts.Count).Select(
                index => Task.Factory.StartNew(() => Play(index), _stop.Token, TaskCreationOptions.LongRunning, TaskScheduler.Default))]);
        }
        catch (AggregateException failures)
        {
            // The first thread to fail stops the others, whose cancellation says nothing.
            var cause = failures.InnerExceptions.FirstOrDefault(failure => failure is not OperationCanceledException);
            ExceptionDispatchInfo.Throw(cause ?? failures);
        }
        finally
        {
            _order.ReturnRest();
        }

        return ReplayCounts.Sum(_counts, _peak, Stopwatch.GetElapsedTime(started));
    }

    private void Play(int index)
    {
        try
        {
            var part = _parts[index];
            var counts = _counts[index];
            var doneUpTo = 0L;
            for (var i = 0; i < part.Events.Length; i++)
            {
                var e = part.Events[i];
                if (e.Operation == TraceOperation.Return)
                {
                    Return(e, counts);
                    _order.Returned(index, part.NextReturnAt(i + 1));
                }
                else
                {
                    doneUpTo = _order.AwaitReturnsBefore(e.Sequence, doneUpTo);
                    Rent(e, counts);
                }
            }
        }
        catch
        {
            _stop.Cancel(); // or the other threads would wait for this one's events
            throw;
        }
    }

    private void Rent(in TraceEvent e, ReplayCounts counts)
    {
        counts.Start();
        var served = _pool.TryRent(e.LengthBytes, out var lease, e.AlignmentBytes);
        counts.Stop();
        if (!served)
        {
            var capacity = _pool.GetSnapshot().CapacityBytes;
            counts.CountFailure(inTrace: e.Operation == TraceOperation.Fail, (double)Interlocked.Read(ref _live) / capacity);
        }

        if (e.Operation == TraceOperation.Fail)
        {
            counts.AvoidedFailures += served ? 1 : 0;
            lease?.Dispose();
            return;
        }

        if (served)
        {
            counts.Rents++;
            RaisePeak(Interlocked.Add(ref _live, e.LengthBytes));
        }

        _order.Put(e.Lease, lease);
    }

    private void Return(in TraceEvent e, ReplayCounts counts)
    {
        if (_order.Take(e.Lease) is { } lease)
        {
            Interlocked.Add(ref _live, -e.LengthBytes);
            counts.Start();
            lease.Dispose();
            counts.Stop();
            counts.Returns++;
        }
    }

    private void RaisePeak(long live)
    {
        var peak = Volatile.Read(ref _peak);
        while (live > peak)
        {
            var found = Interlocked.CompareExchange(ref _peak, live, peak);
            if (found == peak)
            {
                return;
            }

            peak = found;
        }
    }
}
