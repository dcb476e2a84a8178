namespace LpLlm.Memory.Pooling;

/// <summary>Disposal: waits for live leases, then says what is still out. Memory under a live lease is never unmapped.</summary>
internal partial class PinnedPool
{
    private const int SizesNamed = 10;
    private static readonly TimeSpan StopGrowingTimeout = TimeSpan.FromSeconds(30);

    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    public virtual async ValueTask DisposeAsync()
    {
        if (!Close())
        {
            return;
        }

        CloseCaches(); // for good
        _caches?.Release();
        await _closing.CancelAsync().ConfigureAwait(false);
        _queue.Close(new ObjectDisposedException(nameof(PinnedPool), $"Pool '{Name}' was disposed while a rent waited."));

        // A resize in flight stops within milliseconds, because its token has fired; only a source that ignores tokens lasts longer.
        if (!await _resize.WaitAsync(StopGrowingTimeout).ConfigureAwait(false))
        {
            throw new InvalidOperationException(
                $"Pool '{Name}' was disposed while it grew, and '{_source.Name}' did not stop within {StopGrowingTimeout.TotalSeconds:0} s.");
        }

        try
        {
            Release(RemoveIdleSlabs(keepBytes: 0));
        }
        finally
        {
            _resize.Release();
        }

        SignalIfDrained();
        try
        {
            await _drained.Task.WaitAsync(_settings.DisposeTimeout, _time).ConfigureAwait(false);
        }
        catch (TimeoutException) when (IsIdle())
        {
            // All leases are back, and the last of them is giving its slab to the source just now.
            await _drained.Task.WaitAsync(StopGrowingTimeout).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new InvalidOperationException(DescribeLiveLeases());
        }
    }

    private bool Close()
    {
        _gate.Enter();
        try
        {
            if (_disposed)
            {
                return false;
            }

            _disposed = true;
            return true;
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>After disposal the last lease of a slab takes the slab with it, and always where it is the only one.</summary>
    private PoolSlab? AbandonUnsynchronized(PoolSlab slab)
    {
        if (!slab.IsIdle || !_slabs.Contains(slab))
        {
            return null;
        }

        _slabs = [.. _slabs.Where(other => other != slab)];
        return slab;
    }

    private void Abandon(PoolSlab? slab)
    {
        if (slab is not null)
        {
            Release([slab]);
            SignalIfDrained();
        }
    }

    private void SignalIfDrained()
    {
        bool drained;
        _gate.Enter();
        try
        {
            drained = _live + _pendingLeases == 0 && _reserved == _quarantined; // the last slab is really gone
        }
        finally
        {
            _gate.Exit();
        }

        if (drained)
        {
            _drained.TrySetResult();
        }
    }

    private string DescribeLiveLeases()
    {
        _gate.Enter();
        try
        {
            var sizes = _slabs
                .SelectMany(slab => slab.Allocator.GetLargestLiveLengths(SizesNamed))
                .OrderDescending()
                .Take(SizesNamed)
                .Select(size => $"{size} B")
                .ToList();
            var more = _live + _pendingLeases > sizes.Count ? ", …" : "";
            return $"Pool '{Name}' was disposed with {_live} live leases ({_used} B) and {_pendingLeases} pending behind fences "
                + $"({_pending} B), after waiting {_settings.DisposeTimeout.TotalSeconds:0.###} s: {string.Join(", ", sizes)}{more}. "
                + "Their memory stays mapped until they are returned; dispose leases before the pool.";
        }
        finally
        {
            _gate.Exit();
        }
    }
}
