namespace LpLlm.Memory.Pooling;

/// <summary>Opening and disposal: the hybrid pool's own members, and only these. Chain members have registrations of their own.</summary>
internal sealed partial class HybridPool
{
    public async Task OpenAsync(IProgress<PinProgress>? progress, CancellationToken cancellationToken)
    {
        foreach (var member in _hops.Select(hop => hop.Member).Where(member => member.IsOwned))
        {
            if (member.Pool is IOpenablePool pool)
            {
                await pool.OpenAsync(progress, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    public async ValueTask DisposeAsync()
    {
        if (!_rundown.Close())
        {
            return;
        }

        await _closing.CancelAsync().ConfigureAwait(false);

        // Own members give their idle memory back at once and wait for their leases themselves.
        var disposing = Task.WhenAll(
            _hops.Where(hop => hop.Member.IsOwned).Select(async hop => await hop.Pool.DisposeAsync().ConfigureAwait(false)));
        try
        {
            await _rundown.Drained.WaitAsync(_settings.DisposeTimeout, _time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            await disposing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // told as the inner exception
            throw new InvalidOperationException(DescribeLiveLeases(), disposing.Exception);
        }

        await disposing.ConfigureAwait(false);
    }

    private string DescribeLiveLeases()
    {
        var live = GetHops().Where(hop => hop.LiveLeases > 0).ToList();
        return $"Pool '{Name}' was disposed with {live.Sum(hop => hop.LiveLeases)} live leases, after waiting "
            + $"{_settings.DisposeTimeout.TotalSeconds:0.###} s: "
            + string.Join(", ", live.Select(hop => $"{hop.LiveLeases} ({hop.LiveBytes} B) from '{hop.PoolName}'"))
            + ". Dispose leases before the pool.";
    }
}
