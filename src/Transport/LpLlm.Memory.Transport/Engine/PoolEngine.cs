using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Engine;

/// <summary>
/// Who has which memory: sessions, leases, segments, quotas, waiting requests. Does no I/O of its own: memory comes from an
/// <see cref="ISegmentSource"/>, time from a <see cref="TimeProvider"/>. Thread-safe.
/// </summary>
/// <remarks>
/// Errors are <see cref="PoolFaultException"/>s, ready to be sent. A session that is gone, and a lease or segment that is not the caller's, are
/// both <see cref="PoolFaultCode.NotFound"/>: a client cannot find out what others have.
/// </remarks>
internal sealed class PoolEngine : IAsyncDisposable
{
    public PoolEngine(PoolEngineSettings settings, ISegmentSource source, TimeProvider time, ILogger logger) => throw new NotImplementedException();

    public PoolEngineSettings Settings => throw new NotImplementedException();

    /// <summary>New with every engine.</summary>
    public Token Epoch => throw new NotImplementedException();

    /// <summary>Makes the warm segments.</summary>
    /// <exception cref="MemorySourceException">The memory cannot be had; nothing is kept.</exception>
    public Task StartAsync(CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Opens a session, connected.</summary>
    public PoolSession Open(SessionOptions options) => throw new NotImplementedException();

    /// <summary>The session of that token, or null if it never was or is gone.</summary>
    public PoolSession? Find(Token session) => throw new NotImplementedException();

    /// <summary>
    /// Connects a session again. The process must be the one it was opened by, where both are known: else it is not found.
    /// </summary>
    public IReadOnlyList<LeaseGrant> Resume(PoolSession session, SessionOptions options) => throw new NotImplementedException();

    /// <summary>A connection of the session ended. With the last one its waiting requests are cancelled and its leases detached.</summary>
    public void Disconnect(PoolSession session) => throw new NotImplementedException();

    /// <summary>The kernel says that the session's process is gone: all it held goes back, after the quarantine.</summary>
    public void Exited(PoolSession session) => throw new NotImplementedException();

    /// <summary>The client says goodbye: it has unmapped everything.</summary>
    public void Close(PoolSession session) => throw new NotImplementedException();

    /// <summary>A sign of life. Every other call of the session is one too.</summary>
    public void Renew(PoolSession session) => throw new NotImplementedException();

    public Task<LeaseGrant> AcquireAsync(PoolSession session, AcquireOptions options, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Appends segments to a lease; the grant holds the new ones.</summary>
    public Task<LeaseGrant> GrowAsync(PoolSession session, ulong leaseId, AcquireOptions options, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Takes segments of a lease back, which the client has unmapped. With the last one the lease stays, empty.</summary>
    public void Shrink(PoolSession session, ulong leaseId, IReadOnlyCollection<ulong> segmentIds) => throw new NotImplementedException();

    /// <summary>Lets go of a lease; its memory goes back when nobody holds it.</summary>
    public void Release(PoolSession session, ulong leaseId) => throw new NotImplementedException();

    /// <summary>Undoes a request, whether it waits, was granted, or is yet to come.</summary>
    /// <returns>Whether there was something to undo.</returns>
    public bool Withdraw(PoolSession session, Token requestId) => throw new NotImplementedException();

    /// <summary>Joins a lease. It must be of the same user.</summary>
    public LeaseGrant Attach(PoolSession session, Token leaseToken) => throw new NotImplementedException();

    /// <summary>Makes a lease of memory that the client has held since before this engine started. Sharers of a lease meet by its token.</summary>
    /// <param name="session">Who presents it.</param>
    /// <param name="leaseToken">As before the restart.</param>
    /// <param name="name">For people.</param>
    /// <param name="segments">Descriptors and lengths; the engine takes the descriptors over, whatever the outcome.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    public Task<LeaseGrant> RestoreAsync(
        PoolSession session, Token leaseToken, string name, IReadOnlyList<(SafeFileHandle File, long LengthBytes)> segments, CancellationToken cancellationToken) =>
        throw new NotImplementedException();

    /// <summary>What the server wants of the session, until the token fires, the session ends or the engine is disposed. One reader at a time: a new one ends the old.</summary>
    public IAsyncEnumerable<PoolEvent> WatchAsync(PoolSession session, CancellationToken cancellationToken) => throw new NotImplementedException();

    public IReadOnlyList<LeaseSummary> List(PoolSession? holder = null) => throw new NotImplementedException();

    /// <exception cref="PoolFaultException">There is no such lease, or the holder, if given, does not hold it.</exception>
    public (LeaseSummary Summary, IReadOnlyList<GrantedSegment> Segments) Inspect(ulong leaseId, PoolSession? holder = null) => throw new NotImplementedException();

    /// <summary>Takes a lease away: its holders are told, and its memory goes back when the last of them has let go or is gone.</summary>
    public void Revoke(ulong leaseId, string reason) => throw new NotImplementedException();

    public EngineStatistics GetStatistics() => throw new NotImplementedException();

    /// <summary>The latest events, oldest first; of one lease, or all.</summary>
    public IReadOnlyList<EventRecord> GetEvents(ulong? leaseId = null) => throw new NotImplementedException();

    /// <summary>Tells all clients that the server stops, refuses new requests, and ends waiting ones with <see cref="PoolFaultCode.Unavailable"/>.</summary>
    public void Drain(TimeSpan grace) => throw new NotImplementedException();

    /// <summary>Lets go of all memory. What clients have mapped stays theirs.</summary>
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
