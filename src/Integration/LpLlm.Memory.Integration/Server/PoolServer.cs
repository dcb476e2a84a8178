using LpLlm.Memory.Sources;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Models;
using LpLlm.Memory.Transport.Server;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Server;

/// <summary>
/// The pool server of this process: engine, dispatcher and listeners. Starts once, when the host does or the first embedded pool needs it,
/// whichever is earlier. Thread-safe.
/// </summary>
internal sealed class PoolServer(
    PoolServerOptions options, PoolTransports transports, ISegmentSource segments, ILoggerFactory loggers, TimeProvider time, IDeviceSet? devices = null,
    IModelServiceFactory? modelStore = null)
    : IAsyncDisposable, IDisposable
{
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _disposing = new();
    private readonly ILogger _logger = loggers.CreateLogger("LpLlm.Memory.PoolServer");
    private Task<Running>? _start;
    private bool _stopped;
    private bool _disposed;

    /// <summary>Where it listens, the embedded end point left out; empty before the start.</summary>
    public IReadOnlyList<Uri> EndPoints => [.. (Started?.Outer ?? []).Select(listener => listener.EndPoint)];

    /// <summary>The books; null before the start.</summary>
    public PoolEngine? Engine => Started?.Engine;

    private Running? Started => Volatile.Read(ref _start) is { IsCompletedSuccessfully: true } start ? start.Result : null;

    /// <summary>
    /// Listens, then begins to make the warm memory, which goes on in the background. If anything fails nothing is kept, and the next call tries
    /// again.
    /// </summary>
    /// <param name="cancellationToken">Ends the wait only: a pool that gives up after its own timeout must not undo what has been begun.</param>
    /// <exception cref="MemorySourceException">The memory cannot be had.</exception>
    /// <exception cref="InvalidOperationException">An end point is taken, not safe or of an unknown scheme.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        Task<Running> start;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_start is null or { IsFaulted: true })
            {
                _start = Task.Run(() => CreateAsync(_disposing.Token), CancellationToken.None);
            }

            start = _start;
        }

        await start.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Tells the clients, waits for those of other processes to go, at most <see cref="PoolServerOptions.DrainTimeout"/>, and stops listening
    /// to them. Pools of this process go on until disposal: they are the host's own, and it may still be at work with them.
    /// </summary>
    /// <param name="cancellationToken">Ends the wait early.</param>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (Started is { } running && !Interlocked.Exchange(ref _stopped, true))
        {
            await DrainAsync(running, cancellationToken).ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Task<Running>? start;
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            start = _start;
        }

        await _disposing.CancelAsync().ConfigureAwait(false);
        if (start is not null)
        {
            await ((Task)start).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // whoever asked for the start was told
            if (start.IsCompletedSuccessfully)
            {
                await start.Result.DisposeAsync().ConfigureAwait(false);
            }
        }

        _disposing.Dispose();
    }

    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    private async Task DrainAsync(Running running, CancellationToken cancellationToken)
    {
        foreach (var listener in running.Outer)
        {
            await listener.StopAcceptingAsync().ConfigureAwait(false);
        }

        running.Engine.Drain(options.DrainTimeout);
        try
        {
            await running.Connections.WaitForNoneAsync().WaitAsync(options.DrainTimeout, time, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception patience) when (patience is TimeoutException or OperationCanceledException)
        {
            IntegrationLog.DrainTimedOut(_logger, options.DrainTimeout, running.Engine.GetStatistics().Leases);
        }
        finally
        {
            foreach (var listener in running.Outer)
            {
                await listener.DisposeAsync().ConfigureAwait(false);
            }
        }

        IntegrationLog.ServerStopped(_logger);
    }

    private async Task<Running> CreateAsync(CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var engine = new PoolEngine(EngineSettings(), segments, time, _logger);
        var policy = new PoolServicePolicy
        {
            AllowedUsers = UserNames.ResolveAll(options.AllowedUsers),
            OwnUserId = ProcessUser.Id,
            RenewInterval = options.SessionTimeout / 10,
            MaxMessageBytes = options.Limits.MaxMessageBytes,
        };
        var models = modelStore?.Create(engine);
        var running = new Running(engine, models, new PoolService(engine, policy, _logger, time, devices, models), options.Limits);
        try
        {
            // Before any memory is taken: a second server on the same path is told whose it is, and clients of a server that was restarted
            // find the new one at once.
            running.Embedded = await transports.Get(PoolEndPoint.EmbeddedUri)
                .BindAsync(PoolEndPoint.EmbeddedUri, running.Connections, cancellationToken).ConfigureAwait(false);
            foreach (var endPoint in ListenAt())
            {
                running.Outer.Add(await transports.Get(endPoint).BindAsync(endPoint, running.Connections, cancellationToken).ConfigureAwait(false));
            }

            await WarmAsync(engine, cancellationToken).ConfigureAwait(false);
            foreach (var listener in running.Outer)
            {
                await ServerWarmUp.RunAsync(transports.Get(listener.EndPoint), listener.EndPoint, time, cancellationToken).ConfigureAwait(false);
            }
        }
        catch
        {
            await running.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        IntegrationLog.ServerStarted(
            _logger, ByteSize.Format(options.CapacityBytes), ByteSize.Format(options.WarmBytes),
            string.Join(' ', running.Outer.Select(listener => PoolEndPoint.Format(listener.EndPoint)).DefaultIfEmpty(PoolEndPoint.Embedded)),
            time.GetElapsedTime(started).TotalMilliseconds);
        return running;
    }

    /// <summary>
    /// What this machine can never give fails the start. What it cannot give now is tried again later: after a restart it may be the surviving
    /// clients' that have it, and who must find a server to come back to.
    /// </summary>
    private async Task WarmAsync(PoolEngine engine, CancellationToken cancellationToken)
    {
        // All of it, and first: the first segment alone may fit a limit that the others, made in the background, do not.
        segments.EnsureAllowed(options.WarmBytes);
        var (most, limitName) = options.WarmBytes > 0 ? new MemoryBudget().GetTotal() : (long.MaxValue, "");
        try
        {
            await engine.StartAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (MemorySourceException refusal) when (refusal.Operation == "preflight" && options.WarmBytes <= most)
        {
            IntegrationLog.WarmMemoryMissing(_logger, ByteSize.Format(options.WarmBytes), refusal.Message);
        }

        if (options.WarmBytes > most)
        {
            throw new MemorySourceException(
                "preflight", 0, "out of memory", options.WarmBytes, most,
                $"{ByteSize.Format(most)} are all there is under {limitName}: lower WarmBytes, or raise that limit. "
                + "sllm-store keeps its whole --pool-memory-size warm unless WarmBytes is configured.");
        }
    }

    private IEnumerable<Uri> ListenAt()
    {
        if (options.EndPoints.Count == 0)
        {
            RuntimeDirectory.EnsureDefault();
            return [PoolEndPoint.Parse(RuntimeDirectory.DefaultEndPoint)];
        }

        return options.EndPoints.Where(endPoint => !PoolEndPoint.IsEmbedded(endPoint)).Select(PoolEndPoint.Parse);
    }

    private PoolEngineSettings EngineSettings() => new()
    {
        CapacityBytes = options.CapacityBytes,
        ModelFloorBytes = options.ModelFloorBytes,
        PoolFloorBytes = options.PoolFloorBytes,
        SegmentBytes = options.SegmentBytes,
        WarmBytes = options.WarmBytes,
        MaxLeaseBytes = options.MaxLeaseBytes ?? long.MaxValue,
        MaxClientBytes = options.MaxClientBytes ?? long.MaxValue,
        MaxUserBytes = options.MaxUserBytes ?? long.MaxValue,
        MaxSessions = options.MaxClients,
        MaxSegments = SegmentLimit.Find(),
        QuarantineTime = options.QuarantineTime,
        SessionTimeout = options.SessionTimeout,
        TrimPatience = options.TrimPatience,
    };

    /// <summary>What a start has made.</summary>
    private sealed class Running(PoolEngine engine, IModelService? models, PoolService service, PoolTransportLimits limits) : IAsyncDisposable
    {
        public PoolEngine Engine => engine;

        public ConnectionCount Connections { get; } = new(engine, models, service, limits);

        public List<PoolListener> Outer { get; } = [];

        public PoolListener? Embedded { get; set; }

        public async ValueTask DisposeAsync()
        {
            foreach (var listener in Embedded is null ? Outer : [.. Outer, Embedded])
            {
                await listener.DisposeAsync().ConfigureAwait(false);
            }

            if (models is not null)
            {
                await models.DisposeAsync().ConfigureAwait(false);
            }

            await engine.DisposeAsync().ConfigureAwait(false);
            service.Dispose();
        }
    }
}
