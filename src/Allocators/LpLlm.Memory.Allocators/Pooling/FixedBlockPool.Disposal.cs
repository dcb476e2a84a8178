namespace LpLlm.Memory.Pooling;

/// <summary>Disposal: waits for live leases, then says how many are still out. The last lease takes the region with it.</summary>
internal sealed partial class FixedBlockPool
{
    private static readonly TimeSpan StopResizeTimeout = TimeSpan.FromSeconds(30);

    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _disposed;

    private bool IsDisposed => Volatile.Read(ref _disposed) != 0;

    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _caches.Close(); // for good: from here every rent and return passes where it sees the disposal
        await _closing.CancelAsync().ConfigureAwait(false);
        _queue.Close(new ObjectDisposedException(nameof(FixedBlockPool), $"Pool '{Name}' was disposed while a rent waited."));

        // A resize in flight stops within milliseconds, because its token has fired; only a source that ignores tokens lasts longer.
        if (!await _resize.WaitAsync(StopResizeTimeout).ConfigureAwait(false))
        {
            throw new InvalidOperationException(
                $"Pool '{Name}' was disposed while it opened, and '{_source.Name}' did not stop within {StopResizeTimeout.TotalSeconds:0} s.");
        }

        _resize.Release();
        _caches.Drain();
        _caches.Release();
        ReleaseIfIdle();
        try
        {
            await _drained.Task.WaitAsync(_settings.DisposeTimeout, _time).ConfigureAwait(false);
        }
        catch (TimeoutException) when (_accounts.Taken == 0)
        {
            // All blocks are back, and whoever brought the last one is giving the region to the source just now.
            await _drained.Task.WaitAsync(StopResizeTimeout).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new InvalidOperationException(DescribeLiveLeases());
        }
    }

    /// <summary>Gives the region back if all blocks are there; of several threads that find them, one gets them all.</summary>
    private void ReleaseIfIdle()
    {
        if (_accounts.Taken != 0)
        {
            return;
        }

        if (_region is { } region)
        {
            // The stack is at rest but for a rent that had passed the disposal's check, whose return comes here again.
            if (!TryTakeAllBlocks(int.MaxValue))
            {
                return;
            }

            ReleaseRegion(region);
        }

        _drained.TrySetResult();
    }

    private string DescribeLiveLeases()
    {
        var snapshot = GetSnapshot();
        return $"Pool '{Name}' was disposed with {snapshot.LiveLeases} live leases ({snapshot.UsedBytes} B) and "
            + $"{snapshot.PendingBytes / _strideBytes} pending behind fences ({snapshot.PendingBytes} B), "
            + $"after waiting {_settings.DisposeTimeout.TotalSeconds:0.###} s; a block is {_blockBytes} B. "
            + "Their memory stays mapped until they are returned; dispose leases before the pool.";
    }
}
