using LpLlm.Memory.Transport.Grpc.Wire;
using LpLlm.Memory.Transport.Server;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>One HTTP/2 connection: who is there, and how much it has under way.</summary>
/// <param name="peer">Who is there.</param>
/// <param name="isVouchedFor">Whether the kernel vouches for the peer, so that no token is asked of it: a Unix socket.</param>
/// <param name="pool">The server's side of it; null if the peer is refused.</param>
/// <param name="refusal">What all calls of a refused peer are answered.</param>
/// <param name="budget">What all connections may make the server keep; this one gets a share.</param>
/// <param name="limits">What it may take.</param>
/// <param name="time">For the pace of its requests.</param>
/// <param name="abort">Cuts it off.</param>
/// <param name="closed">Fires when it has ended.</param>
internal sealed class GrpcConnection(
    PoolPeer peer, bool isVouchedFor, IPoolConnection? pool, GrpcStatus? refusal, PeerBudget budget, PoolTransportLimits limits, TimeProvider time,
    Action abort, CancellationToken closed) : IDisposable
{
    private readonly RequestRate _rate = new(limits.MaxRequestsPerSecond, time);
    private readonly Lock _rateLock = new();
    private volatile bool _isAdmitted;
    private int _calls;
    private long _unsentBytes;

    public PoolPeer Peer { get; } = peer;

    public bool IsVouchedFor { get; } = isVouchedFor;

    /// <summary>Not null where <see cref="Refusal"/> is.</summary>
    public IPoolConnection? Pool { get; } = pool;

    public GrpcStatus? Refusal { get; } = refusal;

    /// <summary>Held by a call whose messages may be longer than the limit: what a connection can make the server buffer stays bounded.</summary>
    public SemaphoreSlim LongMessages { get; } = new(1);

    /// <summary>Bytes of its requests that are being read or answered, their headers too, and of long replies that are being sent.</summary>
    public PeerShare Held { get; } = budget.Join(peer, _ => abort());

    /// <summary>Fires when the connection has ended.</summary>
    public CancellationToken Closed { get; } = closed;

    /// <summary>Counts a request and says how long it must wait.</summary>
    public TimeSpan TakePace()
    {
        lock (_rateLock)
        {
            return _rate.Take();
        }
    }

    /// <summary>Before a request is read, or a long reply written.</summary>
    /// <exception cref="PoolFaultException">Clients have too many.</exception>
    public void Take(int lengthBytes)
    {
        if (!Held.TryTake(lengthBytes))
        {
            throw RequestBytes.Refusal(lengthBytes, budget);
        }
    }

    public bool TryBeginCall()
    {
        if (Interlocked.Increment(ref _calls) <= limits.MaxCallsPerConnection)
        {
            return true;
        }

        EndCall();
        return false;
    }

    /// <summary>It has made a call that it may make.</summary>
    public void Admit() => _isAdmitted = true;

    /// <summary>Cuts it off if it has made no such call.</summary>
    public void AbortUnlessAdmitted()
    {
        if (!_isAdmitted)
        {
            Abort();
        }
    }

    public void EndCall() => Interlocked.Decrement(ref _calls);

    /// <summary>Counts bytes that wait for the client to read, or (negative) do so no longer.</summary>
    public long AddUnsent(long bytes) => Interlocked.Add(ref _unsentBytes, bytes);

    /// <summary>Cuts it off.</summary>
    public void Abort() => abort();

    public void Dispose()
    {
        Held.Dispose();
        LongMessages.Dispose();
    }
}
