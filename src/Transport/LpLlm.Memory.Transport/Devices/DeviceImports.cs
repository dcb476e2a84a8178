using LpLlm.Memory.Transport.Engine;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Devices;

/// <summary>
/// Clients' device memory that is open here. Opening and closing take 0.8 ms each, so an import outlives its copy; not by long, because memory that a
/// client frees stays taken as long as it is open here, and not its session. Thread-safe; no lock is held across a call of the driver.
/// </summary>
internal sealed class DeviceImports(TimeProvider time, ILogger logger) : IDisposable
{
    /// <summary>More than a client has buffers that it copies to again and again.</summary>
    public const int MaxPerSession = 64;

    /// <summary>How long one that nobody uses stays open.</summary>
    public static readonly TimeSpan IdleTime = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<DeviceImportKey, DeviceImport> _imports = [];
    private ITimer? _timer;
    private bool _isArmed;
    private bool _isDisposed;

    /// <summary>Open imports; for tests and figures.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _imports.Count;
            }
        }
    }

    /// <summary>Opens it, or uses what is open; the caller owes <see cref="Release"/> in any case.</summary>
    /// <exception cref="PoolFaultException">The session has too many open at once.</exception>
    public DeviceImport Use(PoolSession session, IMemoryDevice device, ReadOnlyMemory<byte> handle)
    {
        var key = new DeviceImportKey(session, device.Uuid, Convert.ToHexString(handle.Span));
        DeviceImport? import, idle = null;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_imports.TryGetValue(key, out import))
            {
                import.Users++;
                return import;
            }

            idle = MakeRoomUnsynchronized(session);
            import = new DeviceImport(key, () => device.Import(handle.Span));
            _imports.Add(key, import);
        }

        // Outside: it runs at once where the session is over already.
        var registration = session.Over.Token.Register(() => End(import));
        lock (_gate)
        {
            import.SessionOver = registration;
        }

        Close(idle);
        return import;
    }

    /// <summary>Ends a use.</summary>
    public void Release(DeviceImport import)
    {
        var closes = false;
        lock (_gate)
        {
            import.IsOver |= import.Opening.IsFaulted || _isDisposed;
            if (--import.Users == 0)
            {
                import.IdleSince = time.GetTimestamp();
                closes = import.IsOver;
                if (closes)
                {
                    RemoveUnsynchronized(import);
                }
                else
                {
                    ArmUnsynchronized(IdleTime);
                }
            }
        }

        Close(closes ? import : null);
    }

    /// <summary>Closes all; what is in use, when its use ends.</summary>
    public void Dispose()
    {
        List<DeviceImport> idle;
        lock (_gate)
        {
            _isDisposed = true;
            _timer?.Dispose();
            idle = [.. _imports.Values.Where(import => import.Users == 0)];
            idle.ForEach(RemoveUnsynchronized);
        }

        idle.ForEach(Close);
    }

    private DeviceImport? MakeRoomUnsynchronized(PoolSession session)
    {
        var mine = _imports.Values.Where(import => import.Key.Session == session).ToList();
        if (mine.Count < MaxPerSession)
        {
            return null;
        }

        var idle = mine.Where(import => import.Users == 0).MinBy(import => import.IdleSince) ?? throw EngineFaults.Exhausted(
            ExhaustionCause.Limit,
            $"The client has {mine.Count} device buffers in use by running copies, as many as it may.",
            "Wait for copies to end.",
            0,
            nameof(MaxPerSession),
            MaxPerSession);
        RemoveUnsynchronized(idle);
        return idle;
    }

    private void End(DeviceImport import)
    {
        var closes = false;
        lock (_gate)
        {
            import.IsOver = true;
            closes = import.Users == 0 && _imports.GetValueOrDefault(import.Key) == import;
            if (closes)
            {
                RemoveUnsynchronized(import);
            }
        }

        Close(closes ? import : null);
    }

    private void CloseIdle()
    {
        var idle = new List<DeviceImport>();
        lock (_gate)
        {
            _isArmed = false;
            foreach (var import in _imports.Values.Where(import => import.Users == 0).ToList())
            {
                var left = IdleTime - time.GetElapsedTime(import.IdleSince);
                if (left > TimeSpan.Zero)
                {
                    ArmUnsynchronized(left);
                    continue;
                }

                RemoveUnsynchronized(import);
                idle.Add(import);
            }
        }

        idle.ForEach(Close);
    }

    private void ArmUnsynchronized(TimeSpan due)
    {
        if (_isArmed || _isDisposed)
        {
            return;
        }

        _isArmed = true;
        _timer ??= time.CreateTimer(static imports => ((DeviceImports)imports!).CloseIdle(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _timer.Change(due, Timeout.InfiniteTimeSpan);
    }

    private void RemoveUnsynchronized(DeviceImport import)
    {
        if (_imports.GetValueOrDefault(import.Key) == import)
        {
            _imports.Remove(import.Key);
        }
    }

    private void Close(DeviceImport? import)
    {
        if (import is null)
        {
            return;
        }

        import.SessionOver.Unregister();
        if (!import.Opening.IsCompletedSuccessfully)
        {
            return;
        }

        try
        {
            import.Opening.Result.Dispose();
        }
        catch (PinnedMemoryException refusal)
        {
            TransportLog.ImportNotClosed(logger, import.Key.DeviceUuid, refusal.Message);
        }
    }
}
