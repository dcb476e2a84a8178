using LpLlm.Memory.Transport.Messages;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Client;

/// <summary>Memory that a pool server leases to this process, mapped into one address range. The pool above divides it.</summary>
/// <remarks>
/// While the server cannot be reached, <see cref="ReserveAsync"/> fails at once with <see cref="PoolServerUnavailableException"/> and a background
/// task connects anew; memory that was handed out stays mapped and usable, whatever happens to the server. No lock is held across a call.
/// </remarks>
internal sealed partial class ServerMemorySource : IMemorySource, IPoolClientObserver, IAsyncDisposable
{
    private readonly PoolClientOptions _options;
    private readonly IHostPinner? _pinner;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly AddressRange _range;
    private readonly PoolClient _client;
    private readonly Outbox _outbox;
    private readonly TrimPump _trims;
    private readonly Lock _gate = new();
    private readonly List<ServerLease> _leases = [];
    private ServerLease? _growing;

    // The session in which requests have been made; of the connecting task only.
    private Token _served;
    private int _disposed;

    /// <param name="options">Where the server is, and how much memory at most.</param>
    /// <param name="transport">Of the options' end point.</param>
    /// <param name="pinner">What is added to what the server's memory has; null adds nothing.</param>
    /// <param name="time">For deadlines and heartbeats.</param>
    /// <param name="logger">For connections and leases.</param>
    /// <exception cref="MemorySourceException">There are not enough addresses for the capacity.</exception>
    /// <exception cref="PlatformNotSupportedException">Neither on Linux nor on Windows.</exception>
    public ServerMemorySource(PoolClientOptions options, PoolTransport transport, IHostPinner? pinner, TimeProvider time, ILogger logger)
    {
        _options = options;
        _pinner = options.Pinning == SegmentPinning.None ? null : pinner;
        _time = time;
        _logger = logger;
        _range = AddressRange.Create(options.CapacityBytes);
        _trims = new TrimPump(logger);
        _client = new PoolClient(options, transport, this, time, logger);
        _outbox = new Outbox(_client, options.EndPoint, logger);
        Capabilities = PoolCapabilities.Shared
            | PoolCapabilities.PageLocked
            | (options.Pinning == SegmentPinning.Eager && pinner is not null ? pinner.Capabilities : PoolCapabilities.None);
    }

    public string Name => "server";

    public PoolCapabilities Capabilities { get; }

    /// <summary>Called when the server asks for memory back, with the bytes it wants; off any lock, one call at a time.</summary>
    public Action<long>? TrimRequested
    {
        get => _trims.Handler;
        set => _trims.Handler = value;
    }

    /// <summary>
    /// Whether memory is held of a lease that the server wants back: what of it is idle by and by is to be given back. What is shared goes back with its
    /// region, so there is nothing to look for.
    /// </summary>
    public bool HoldsRevoked
    {
        get
        {
            lock (_gate)
            {
                return _leases.Exists(lease => lease is { IsRevoked: true, IsKnown: true, IsShared: false, Segments.Count: > 0 });
            }
        }
    }

    /// <inheritdoc/>
    /// <exception cref="PoolTransportException">The server cannot be reached now, refuses this client, or breaks the protocol.</exception>
    public async ValueTask<MemoryRegion> ReserveAsync(long lengthBytes, IProgress<long>? progress = null, CancellationToken cancellationToken = default) =>
        await ReserveRegionAsync(lengthBytes, isShared: false, progress, cancellationToken).ConfigureAwait(false);

    /// <summary>A region that is a lease of its own, so that another process can join it and see nothing else.</summary>
    /// <inheritdoc cref="ReserveAsync"/>
    public Task<ServerMemoryRegion> ReserveSharedAsync(long lengthBytes, CancellationToken cancellationToken) =>
        ReserveRegionAsync(lengthBytes, isShared: true, progress: null, cancellationToken);

    /// <summary>
    /// Says goodbye to the server within the request timeout. All regions must have been given back: what has not stays mapped, and leased until
    /// this process ends.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        long inUse;
        lock (_gate)
        {
            inUse = _leases.Sum(lease => lease.LengthBytes);
        }

        if (inUse > 0)
        {
            TransportLog.DisposedInUse(_logger, _options.EndPoint, inUse);
        }

        try
        {
            var connection = await _client.FindAsync(_options.RequestTimeout).ConfigureAwait(false);
            await _outbox.WhenSent().WaitAsync(_options.RequestTimeout, _time).ConfigureAwait(false);
            if (inUse == 0 && connection is not null)
            {
                connection.IsEnding = true;
                var goodbye = new ReleaseRequest { Session = connection.SessionBytes, Goodbye = true };
                await connection.CallAsync(PoolMethod.Release, goodbye, ReleaseReply.Parser, TimeSpan.Zero, CancellationToken.None).ConfigureAwait(false);
            }
        }
        catch (Exception away) when (away is PoolTransportException or PoolFaultException or TimeoutException)
        {
            // Goodbye is a courtesy: the server learns of this process's end from the kernel, or from heartbeats that stop.
        }
        finally
        {
            await _client.DisposeAsync().ConfigureAwait(false);
            _range.Dispose();
        }
    }

    private async Task<ServerMemoryRegion> ReserveRegionAsync(
        long lengthBytes, bool isShared, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lengthBytes, long.MaxValue / 2);
        cancellationToken.ThrowIfCancellationRequested();
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);
        var rounded = PoolProtocol.RoundUp(lengthBytes);
        var address = _range.Take(rounded); // first: what has no place here need not be leased
        (ServerLease Lease, IReadOnlyList<HeldSegment> Segments) taken;
        try
        {
            taken = await TakeAsync(rounded, isShared, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            _range.Return(address, rounded);
            throw;
        }

        return await MakeReadyAsync(taken.Lease, taken.Segments, address, rounded, progress, cancellationToken).ConfigureAwait(false);
    }
}
