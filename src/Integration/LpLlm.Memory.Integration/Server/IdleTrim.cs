namespace LpLlm.Memory.Server;

/// <summary>
/// Gives memory of an idle pool back. It looks at the pool's accounts once in a period, so that renting costs nothing: unchanged from one look
/// to the next means that nothing was rented for one to two periods.
/// </summary>
internal sealed class IdleTrim : IDisposable
{
    private readonly IPinnedMemoryPool _pool;
    private readonly Action _trim;
    private readonly ITimer _timer;
    private (long TotalRents, long UsedBytes) _last = (-1, 0);

    /// <param name="pool">The pool.</param>
    /// <param name="keepBytes">What an idle pool keeps.</param>
    /// <param name="period">How often to look.</param>
    /// <param name="trim">Starts the trimming, and returns at once.</param>
    /// <param name="time">The clock.</param>
    public IdleTrim(IPinnedMemoryPool pool, long keepBytes, TimeSpan period, Action trim, TimeProvider time)
    {
        _pool = pool;
        _trim = trim;
        _timer = time.CreateTimer(_ => Look(keepBytes), null, period, period);
    }

    public void Dispose() => _timer.Dispose();

    private void Look(long keepBytes)
    {
        var snapshot = _pool.GetSnapshot();
        var now = (snapshot.TotalRents, snapshot.UsedBytes);
        if (now == _last && snapshot.ReservedBytes > keepBytes)
        {
            _trim();
        }

        _last = now;
    }
}
