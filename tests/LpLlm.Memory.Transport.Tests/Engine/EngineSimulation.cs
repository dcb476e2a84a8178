using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Engine;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Transport;

/// <summary>
/// A server's life by dice: clients of three users, some hostile, ask, share, withdraw, lose connections and die, while memory fails and time jumps.
/// Single-threaded; the seed decides everything. After each step the engine's figures must be those of a model that knows only what clients were told.
/// </summary>
internal sealed class EngineSimulation : IDisposable
{
    private const long Unit = 2L << 20;
    private const long Standard = 2 * Unit;

    private readonly Random _random;
    private readonly ManualTimeProvider _time = new();
    private readonly SimulatedSegmentSource _source = new() { IsManual = true };
    private readonly PoolEngine _engine;
    private readonly List<SimulatedClient> _clients = [];
    private readonly List<SimulatedRequest> _requests = [];
    private readonly List<(SimulatedClient Client, Task<LeaseGrant> Answer)> _restores = [];
    private readonly List<LeaseGrant> _openGrants = [];
    private readonly List<FormattableString> _trace = [];
    private readonly HashSet<SimulatedSegment> _neverAgain = [];
    private readonly Dictionary<SimulatedSegment, uint?> _users = [];
    private readonly HashSet<uint> _restoredUsers = [];
    private long _lostBytes;
    private ulong _nextToken;

    public EngineSimulation(int seed)
    {
        _random = new Random(seed);
        var settings = new PoolEngineSettings
        {
            CapacityBytes = _random.Next(10, 60) * Unit,
            SegmentBytes = Standard,
            WarmBytes = _random.Next(0, 5) * Standard,
            MaxClientBytes = _random.Next(8, 60) * Unit,
            MaxUserBytes = _random.Next(12, 80) * Unit,
            MaxLeaseBytes = _random.Next(8, 40) * Unit,
            MaxLeasesPerClient = _random.Next(2, 8),
            MaxSegmentsPerLease = _random.Next(2, 16),
            MaxWaiting = _random.Next(1, 8),
            MaxSessions = 24, // 12 may be of one user
            MaxSegments = _random.Next(4, 40),
        };
        _engine = new PoolEngine(settings, _source, _time, NullLogger.Instance, () => new Token(1, ++_nextToken));
        if (Dice(2))
        {
            Say($"start with {settings}");
            var start = _engine.StartAsync(CancellationToken.None);
            _source.EndAll();
            Check(start.IsCompletedSuccessfully, $"the start ends");
        }
    }

    public int Granted { get; private set; }

    public int Reused { get; private set; }

    public void Run(int steps)
    {
        try
        {
            for (var i = 0; i < steps; i++)
            {
                Step();
                See();
                CheckAll();
            }

            Calm();
            EndEverybody();
        }
        catch (Exception exception) when (exception is not SimulationException)
        {
            throw new SimulationException($"{exception}\n{string.Join('\n', _trace.Select(Text))}");
        }
    }

    public void Dispose() => _ = _engine.DisposeAsync().AsTask();

    private void Step()
    {
        switch (_random.Next(34))
        {
            case 0 or 1 when _clients.Count(client => !client.HasEnded) < 12:
                Open();
                break;
            case 2 or 3 or 4 or 5:
                With(_ => true, Acquire);
                break;
            case 6 or 7:
                With(client => client.Leases.Count > 0, client => Ask(client, Pick(client.Leases.Keys)));
                break;
            case 8:
                With(client => client.Requests.Count > 0, Retry);
                break;
            case 9 or 10:
                With(client => client.Leases.Count > 0, Shrink);
                break;
            case 11 or 12:
                With(client => client.Leases.Count > 0, Release);
                break;
            case 13:
                With(_ => true, Attach);
                break;
            case 14:
                With(client => client.Requests.Count > 0, Withdraw);
                break;
            case 15:
                With(client => client.Requests.Any(request => !request.Answer.IsCompleted), Cancel);
                break;
            case 16:
                With(_ => true, Reconnect);
                break;
            case 17:
                End();
                break;
            case 18:
                if (_engine.List().Where(lease => lease.HolderCount > 0).ToList() is { Count: > 0 } leases)
                {
                    var lease = Pick(leases);
                    Say($"revoke {lease.Id}");
                    _engine.Revoke(lease.Id, "dice");
                }

                break;
            case 19:
                Advance(Dice(8) ? 31_000 : _random.Next(600));
                break;
            case 20:
                Mischief();
                break;
            case 21:
                With(client => client.Options.UserId is not null, Restore);
                break;
            default:
                EndOperation();
                break;
        }

        if (_openGrants.Count > 0 && Dice(2))
        {
            Send(Pick(_openGrants));
        }
    }

    private void Open()
    {
        var kind = _random.Next(8);
        var options = new SessionOptions
        {
            ClientName = $"c{_clients.Count}",
            UserId = kind switch { 0 => null, 1 => 7, _ => (uint)(1000 + _random.Next(2)) },
            IsWatched = kind > 2,
            IsThisProcess = kind == 1,
            IsPrivileged = kind is 1 or 7,
            ProcessId = kind == 6 ? 1 + _random.Next(3) : null,
        };
        Say($"open {options.ClientName} user {options.UserId} watched {options.IsWatched} own {options.IsThisProcess}");
        var client = new SimulatedClient(options.ClientName, _engine.Open(options));
        _clients.Add(client);
        if (Dice(2))
        {
            _ = _engine.WatchAsync(client.Session, CancellationToken.None);
        }
    }

    private void Acquire(SimulatedClient client) => Ask(client, null);

    private void Ask(SimulatedClient client, ulong? leaseId) => Issue(client, leaseId, new AcquireOptions
    {
        LengthBytes = (_random.Next(1, Dice(6) ? 40 : 8) * Unit) - _random.Next(3),
        RequestId = new Token(2, ++_nextToken),
        Priority = (RentPriority)_random.Next(-1, 2),
        Timeout = TimeSpan.FromMilliseconds(Dice(2) ? 0 : _random.Next(5000)),
        SingleSegment = Dice(4),
    });

    private void Retry(SimulatedClient client)
    {
        var request = Pick(client.Requests);
        Issue(client, request.LeaseId, request.Options);
    }

    private void Issue(SimulatedClient client, ulong? leaseId, AcquireOptions options)
    {
        Say($"{client.Name} asks {leaseId}: {options.RequestId.Low} {(double)options.LengthBytes / Unit:F2} units, {options.Priority}, {options.Timeout.TotalMilliseconds} ms, {options.SingleSegment}");
        var cancellation = new CancellationTokenSource();
        var answer = leaseId is { } id
            ? _engine.GrowAsync(client.Session, id, options, cancellation.Token)
            : _engine.AcquireAsync(client.Session, options, cancellation.Token);
        var request = new SimulatedRequest(client, leaseId, options, cancellation, answer);
        client.Requests.Add(request);
        _requests.Add(request);
    }

    private void Shrink(SimulatedClient client)
    {
        var (lease, segments) = Pick(client.Leases);
        var ids = segments.Keys.Where(_ => Dice(2)).ToList();
        Say($"{client.Name} shrinks {lease} by {string.Join(',', ids)}");
        _engine.Shrink(client.Session, lease, ids);
        ids.ForEach(id => segments.Remove(id));
    }

    private void Release(SimulatedClient client)
    {
        var lease = Pick(client.Leases.Keys);
        Say($"{client.Name} releases {lease}");
        _engine.Release(client.Session, lease);
        client.Leases.Remove(lease);
    }

    private void Attach(SimulatedClient client)
    {
        var tokens = _clients.Where(other => !other.HasEnded).SelectMany(other => other.Tokens.Values).Distinct().ToList();
        if (tokens.Count == 0)
        {
            return;
        }

        var token = Pick(tokens);
        Say($"{client.Name} attaches by {token.Low}");
        try
        {
            var grant = _engine.Attach(client.Session, token);
            var sharers = _clients.Where(other => other != client && other.Leases.ContainsKey(grant.LeaseId)).ToList();
            Check(
                client.Leases.ContainsKey(grant.LeaseId)
                || sharers.Any(other => other.Options.UserId == client.Options.UserId || (other.Options.IsThisProcess && client.Options.IsThisProcess)),
                $"a lease is shared within one user");
            Take(client, grant, isShared: true);
        }
        catch (PoolFaultException fault)
        {
            Say($"  {fault.Message}");
        }
    }

    private void Withdraw(SimulatedClient client)
    {
        var request = Pick(client.Requests);
        Say($"{client.Name} withdraws {request.Options.RequestId.Low}");
        var isUndone = _engine.Withdraw(client.Session, request.Options.RequestId);
        foreach (var same in client.Requests.Where(same => same.Options.RequestId == request.Options.RequestId).ToList())
        {
            client.Requests.Remove(same);
            Check(same.Answer.IsCompleted, $"a withdrawn request ends at once");
            if (isUndone && same.Answer.IsCompletedSuccessfully)
            {
                Forget(client, same.LeaseId is null, same.Answer.Result);
            }
        }
    }

    private static void Forget(SimulatedClient client, bool isLease, LeaseGrant grant)
    {
        if (isLease)
        {
            client.Leases.Remove(grant.LeaseId);
        }
        else if (client.Leases.TryGetValue(grant.LeaseId, out var segments))
        {
            grant.Segments.ToList().ForEach(segment => segments.Remove(segment.Id));
        }
    }

    private void Cancel(SimulatedClient client)
    {
        var request = client.Requests.First(request => !request.Answer.IsCompleted);
        Say($"{client.Name} cancels {request.Options.RequestId.Low}");
        request.Cancellation.Cancel();
        Check(request.Answer.IsCanceled, $"a cancelled request ends at once");
    }

    private void Reconnect(SimulatedClient client)
    {
        if (client.Connections > 0 && Dice(2))
        {
            Say($"{client.Name} disconnects");
            _engine.Disconnect(client.Session);
            client.Connections--;
            return;
        }

        Say($"{client.Name} resumes");
        var grants = _engine.Resume(client.Session, client.Options);
        client.Connections++;
        Check(grants.Select(grant => grant.LeaseId).ToHashSet().SetEquals(client.Leases.Keys), $"a resumed session has its leases");
        foreach (var grant in grants)
        {
            Check(grant.Segments.Select(segment => segment.Id).ToHashSet().SetEquals(client.Leases[grant.LeaseId].Keys), $"with their segments");
            _openGrants.Add(grant);
        }
    }

    private void End()
    {
        // Also those whose session has ended: the proof of death may come late, and twice.
        if (_clients.Count == 0)
        {
            return;
        }

        var client = Pick(_clients);
        if (Dice(2))
        {
            return;
        }

        if (client.Options.IsWatched && Dice(2))
        {
            Say($"{client.Name} exits");
            _engine.Exited(client.Session);
            (client.HasEnded, client.HasExited) = (true, true);
            client.Leases.Clear();
        }
        else if (!client.HasEnded)
        {
            Say($"{client.Name} closes");
            _engine.Close(client.Session);
            client.HasEnded = true;
            client.Leases.Clear();
        }
    }

    private void Advance(int milliseconds)
    {
        Say($"{milliseconds} ms pass");
        _time.Advance(TimeSpan.FromMilliseconds(milliseconds));
        foreach (var client in _clients.Where(client => !client.HasEnded && _engine.Find(client.Session.Token) is null))
        {
            Check(!client.Options.IsWatched || client is { Connections: 0, Leases.Count: 0 }, $"a watched session expires only when it has nothing");
            Say($"  {client.Name} has expired");
            client.HasEnded = true;
            _neverAgain.UnionWith(client.Held);
            client.Leases.Clear();
        }
    }

    /// <summary>Wrong calls change nothing; a hostile client writes to what it gave back.</summary>
    private void Mischief()
    {
        foreach (var client in _clients.Where(client => !client.HasExited))
        {
            foreach (var segment in client.Options.IsThisProcess ? client.Held : client.Mapped)
            {
                segment.Write(client.Name);
            }
        }

        With(_ => true, client =>
        {
            var foreign = _clients.Where(other => other != client).SelectMany(other => other.Leases.Keys).Except(client.Leases.Keys).FirstOrDefault(ulong.MaxValue);
            Say($"{client.Name} releases {foreign}, which is not its own");
            try
            {
                _engine.Release(client.Session, foreign);
                Check(false, $"a foreign lease is not released");
            }
            catch (PoolFaultException fault)
            {
                Check(fault.Code == PoolFaultCode.NotFound, $"it is not found");
            }
        });
    }

    private void Restore(SimulatedClient client)
    {
        // Memory of user 1000 + n lies at inodes that end in n; the lease has three segments.
        var group = (ulong)_random.Next(2);
        var inodes = Enumerable.Range(1, 3).Where(_ => Dice(2)).Select(i => ((ulong)i << 32) + group).ToList();
        if (inodes.Count == 0)
        {
            return;
        }

        Say($"{client.Name} restores {string.Join(',', inodes)}");
        _restores.Add((client, _engine.RestoreAsync(
            client.Session, new Token(3, group + 1), "", [.. inodes.Select(inode => (_source.File(inode), (long)(inode >> 32) * Unit))], CancellationToken.None)));
    }

    private void EndOperation()
    {
        if (_source.Pending.Count == 0)
        {
            return;
        }

        var operation = Pick(_source.Pending);
        var isAdopted = operation is { Inode: > uint.MaxValue, Kind: not SimulatedOperation.Adopt };
        Exception? failure = Dice(12) && !isAdopted ? Failure(operation) : operation.IsCancelled && Dice(2) ? new OperationCanceledException() : null;
        Say($"{operation.Kind} of {operation.LengthBytes / Unit} ends: {failure?.Message}");
        operation.End(failure);
    }

    private MemorySourceException Failure(PendingOperation operation)
    {
        var lost = operation.Kind == SimulatedOperation.Create && Dice(8) ? Unit : 0;
        _lostBytes += lost;
        return new MemorySourceException("mmap", 12, "ENOMEM", operation.LengthBytes, null, "Add memory.") { QuarantinedBytes = lost };
    }

    private void Send(LeaseGrant grant)
    {
        _openGrants.Remove(grant);
        grant.Dispose();
    }

    /// <summary>Answers that have come.</summary>
    private void See()
    {
        foreach (var request in _requests.Where(request => !request.IsSeen && request.Answer.IsCompleted).ToList())
        {
            request.IsSeen = true;
            if (request.Answer.IsCompletedSuccessfully)
            {
                Check(!request.Client.HasEnded, $"nobody is served after its end");
                Granted++;
                Take(request.Client, request.Answer.Result, isShared: false);
            }
            else
            {
                Say($"  {request.Client.Name}'s {request.Options.RequestId.Low}: {request.Answer.Exception?.InnerException?.Message ?? "cancelled"}");
                Check(request.Answer.Exception?.InnerException is null or PoolFaultException or MemorySourceException, $"an expected error");
            }
        }

        foreach (var (client, restore) in _restores.Where(restore => restore.Answer.IsCompleted).ToList())
        {
            _restores.Remove((client, restore));
            if (restore.IsCompletedSuccessfully)
            {
                _restoredUsers.Add(client.Options.UserId!.Value);
                foreach (var segment in restore.Result.Segments)
                {
                    _neverAgain.Add((SimulatedSegment)segment.Segment);
                }

                Take(client, restore.Result, isShared: true);
            }
        }
    }

    private void Take(SimulatedClient client, LeaseGrant grant, bool isShared)
    {
        Say($"  {client.Name} has {grant.LeaseId}: {string.Join(',', grant.Segments.Select(segment => segment.Id))}");
        _openGrants.Add(grant);
        client.Tokens[grant.LeaseId] = grant.Token;
        var held = client.Leases.TryGetValue(grant.LeaseId, out var known) ? known : client.Leases[grant.LeaseId] = [];
        foreach (var (id, piece) in grant.Segments)
        {
            var segment = (SimulatedSegment)piece;
            if (held.TryGetValue(id, out var same))
            {
                Check(same == segment, $"an id is of one segment");
                continue;
            }

            Check(segment.FreedPages is null && !segment.IsBusy, $"it exists and nobody zeroes it");
            if (!isShared)
            {
                CheckFresh(client, segment);
            }

            held.Add(id, segment);
            client.Mapped.Add(segment);
            if (!client.Options.IsThisProcess)
            {
                _users[segment] = client.Options.UserId;
            }

            segment.Write(client.Name);
        }
    }

    private void CheckFresh(SimulatedClient client, SimulatedSegment segment)
    {
        Reused += segment.ClearCount > 0 ? 1 : 0;
        Check(segment.Writers.All(writer => writer == client.Name), $"{client.Name} reads what {string.Join(',', segment.Writers)} wrote");
        Check(!_neverAgain.Contains(segment), $"memory of a client that may live is never given to another");
        Check(!_clients.Any(other => other.Held.Contains(segment)), $"it is nobody's");
        Check(
            _clients.All(other => other == client || other.HasExited || other.Options.IsThisProcess || !other.Mapped.Contains(segment)),
            $"all others that ever had it are gone");
        Check(!_users.TryGetValue(segment, out var user) || client.Mapped.Contains(segment) || (user is not null && user == client.Options.UserId), $"it stays with its user");
    }

    private void CheckAll()
    {
        Check(_source.Violations.Count == 0, $"{string.Join(' ', _source.Violations)}");
        var statistics = _engine.GetStatistics();
        var charged = statistics.LeasedBytes + statistics.IdleBytes + statistics.PendingBytes;
        var taken = _source.TakenBytes + _lostBytes;
        var restored = _source.Live.Where(segment => segment.Inode > uint.MaxValue).Sum(segment => segment.LengthBytes);
        Check(taken - restored <= statistics.CapacityBytes, $"{taken} B are within the capacity");
        Check(charged >= taken - restored, $"every byte is counted");
        if (_source.Pending.Count == 0)
        {
            Check(charged == taken, $"{charged} B counted, {taken} B taken");
        }

        var held = _clients.SelectMany(client => client.Held).ToHashSet();
        Check(statistics.LeasedBytes == held.Sum(segment => segment.LengthBytes), $"{statistics.LeasedBytes} B leased, {held.Sum(segment => segment.LengthBytes)} B held");
        Check(held.All(segment => segment.FreedPages is null && !segment.IsBusy), $"what is held is left alone");
        Check(_openGrants.All(grant => grant.Segments.All(segment => segment.Segment is SimulatedSegment { FreedPages: null, IsBusy: false })), $"a descriptor on its way stays open");
        Check(_neverAgain.All(segment => segment.FreedPages != true), $"a client that may live keeps its pages");
        Check(statistics.Sessions == _clients.Count(client => !client.HasEnded), $"sessions");
        Check(statistics.Leases == _clients.SelectMany(client => client.Leases.Keys).Distinct().Count(), $"leases");
        Check(statistics.Waiting <= _engine.Settings.MaxWaiting, $"the queue is bounded");
        foreach (var lease in _engine.List().Where(lease => lease.HolderCount > 0))
        {
            var members = _clients.Where(client => client.Leases.ContainsKey(lease.Id)).SelectMany(client => client.Leases[lease.Id].Values).ToHashSet();
            Check(lease.LengthBytes == members.Sum(segment => segment.LengthBytes), $"a lease is what its holders have");
            Check(lease.LengthBytes <= _engine.Settings.MaxLeaseBytes || members.Any(_neverAgain.Contains), $"MaxLeaseBytes");
        }

        foreach (var user in held.Where(segment => !_neverAgain.Contains(segment)).GroupBy(segment => _users.GetValueOrDefault(segment)))
        {
            Check(user.Key is null || _restoredUsers.Contains(user.Key.Value) || user.Sum(segment => segment.LengthBytes) <= _engine.Settings.MaxUserBytes, $"MaxUserBytes");
        }
    }

    /// <summary>When everybody gives back what it has, every request is answered in time: nobody is forgotten.</summary>
    private void Calm()
    {
        Say($"calm");
        _source.EndAll();
        See();
        for (var round = 0; round < 200 && (round < 3 || _source.Pending.Count > 0 || _openGrants.Count > 0 || _clients.Any(client => client.Leases.Count > 0)); round++)
        {
            _source.EndAll();
            See();
            CheckAll();
            _openGrants.ToList().ForEach(Send);
            foreach (var client in _clients.Where(client => !client.HasEnded))
            {
                foreach (var lease in client.Leases.Keys.ToList())
                {
                    See(); // the release before may have served a growth of this lease
                    _engine.Release(client.Session, lease);
                    client.Leases.Remove(lease);
                }
            }

            Advance(300);
            See();
        }

        CheckAll();
        Check(_lostBytes > 0 || _source.UndiscardedBytes > 0 || _engine.GetStatistics().Waiting == 0, $"who waits is served when there is room");
    }

    private void EndEverybody()
    {
        Say($"end");
        foreach (var client in _clients)
        {
            _engine.Exited(client.Session);
            (client.HasEnded, client.HasExited) = (true, true);
            client.Leases.Clear();
        }

        for (var round = 0; round < 5; round++)
        {
            Advance(300);
            _source.EndAll();
            See();
            _openGrants.ToList().ForEach(Send);
        }

        CheckAll();
        var statistics = _engine.GetStatistics();
        Check(statistics is { LeasedBytes: 0, Waiting: 0, Sessions: 0, Leases: 0 }, $"all is over: {statistics}");
        Check(_requests.All(request => request.Answer.IsCompleted), $"every request has its outcome");
        Check(_engine.List().Count == 0, $"no lease is left");
        Check(statistics.PendingBytes == _lostBytes + _source.UndiscardedBytes, $"{statistics.PendingBytes} B are pending");
        var disposal = _engine.DisposeAsync().AsTask();
        _source.EndAll();
        Check(_source.Live.Sum(segment => segment.LengthBytes) == _source.UndiscardedBytes, $"nothing is left behind");
        Check(disposal.Wait(TimeSpan.FromSeconds(10)), $"the disposal ends");
    }

    private void With(Func<SimulatedClient, bool> condition, Action<SimulatedClient> action)
    {
        if (_clients.Where(client => !client.HasEnded && condition(client)).ToList() is { Count: > 0 } candidates)
        {
            action(Pick(candidates));
        }
    }

    private bool Dice(int sides) => _random.Next(sides) == 0;

    private T Pick<T>(IEnumerable<T> items)
    {
        var list = items.ToList();
        return list[_random.Next(list.Count)];
    }

    private void Say(FormattableString line) => _trace.Add(line);

    // Formatted only when it fails: most of the time of a run was spent on texts.
    private static string Text(FormattableString text) => FormattableString.Invariant(text);

    private void Check(bool condition, FormattableString what)
    {
        if (!condition)
        {
            throw new SimulationException($"Broken: {Text(what)}.\n{string.Join('\n', _trace.Select(Text))}");
        }
    }
}
