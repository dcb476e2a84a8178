namespace LpLlm.Memory.Transport.Engine;

/// <summary>
/// Bytes of sessions and users, with those that wait: charged when a request arrives, refunded once. So no request waits in front of others for
/// room that its own quota denies it. Guarded by the engine's lock.
/// </summary>
internal sealed class QuotaBook(PoolEngineSettings settings)
{
    private readonly Dictionary<uint, long> _users = [];

    public long UserBytes(PoolSession session) => session.Options.UserId is { } user ? _users.GetValueOrDefault(user) : session.ChargedBytes;

    /// <summary>The name and value of the limit that the bytes would break and what counts against it, or null.</summary>
    public (string Name, long LimitBytes, long UsedBytes)? FindLimit(PoolSession session, long bytes)
    {
        if (SegmentSizes.Exceeds(session.ChargedBytes, bytes, settings.MaxClientBytes))
        {
            return (nameof(settings.MaxClientBytes), settings.MaxClientBytes, session.ChargedBytes);
        }

        return SegmentSizes.Exceeds(UserBytes(session), bytes, settings.MaxUserBytes)
            ? (nameof(settings.MaxUserBytes), settings.MaxUserBytes, UserBytes(session))
            : null;
    }

    public void Charge(PoolSession session, long bytes)
    {
        session.ChargedBytes += bytes;
        if (session.Options.UserId is { } user)
        {
            _users[user] = _users.GetValueOrDefault(user) + bytes;
            if (_users[user] == 0)
            {
                _users.Remove(user);
            }
        }
    }

    public void Refund(PoolSession session, long bytes) => Charge(session, -bytes);
}
