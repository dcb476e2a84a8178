namespace LpLlm.Memory.Server;

/// <summary>
/// Gives memory of an idle pool back. It looks at the pool's accounts once in a period, so that renting costs nothing: unchanged from one look
/// to the next means that nothing was rented for one to two periods.
/// </summary>
internal sealed class IdleTrim : IDisposable
{
    private readonly Func<PoolSnapshot> _look;
    private readonly long _keepBytes;
    private readonly TimeSpan _period;
    private readonly Action _trim;
    private readonly ITimer _timer;
    private (long TotalRents, long UsedBytes) _last = (-1, 0);

    /// <param name="look">Reads the pool's accounts.</param>
    /// <param name="keepBytes">What an idle pool keeps.</param>
    /// <param name="period">How often to look.</param>
    /// <param name="trim">Starts the trimming, and returns at once.</param>
    /// <param name="time">The clock.</param>
    public IdleTrim(Func<PoolSnapshot> look, long keepBytes, TimeSpan period, Action trim, TimeProvider time)
    {
        _look = look;
        _keepBytes = keepBytes;
        _period = period;
        _trim = trim;
        _timer = time.CreateTimer(_ => Look(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        WaitAgain();
    }

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        var snapshot = _look();
        var now = (snapshot.TotalRents, snapshot.UsedBytes);
        if (now == _last && snapshot.ReservedBytes > _keepBytes)
        {
            _trim();
        }

        _last = now;
        WaitAgain();
    }

    private void WaitAgain() => _timer.Change(_period, Timeout.InfiniteTimeSpan);
}
