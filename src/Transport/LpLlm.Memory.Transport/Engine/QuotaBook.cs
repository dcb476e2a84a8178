namespace LpLlm.Memory.Transport.Engine;

/// <summary>
/// Bytes of processes and users, with those that wait: charged when a request arrives, refunded once. So no request waits in front of others for
/// room that its own quota denies it. Who inherits shared memory is charged whatever its quota. Guarded by the engine's lock.
/// </summary>
internal sealed class QuotaBook(PoolEngineSettings settings)
{
    private readonly Dictionary<uint, long> _users = [];
    private readonly Dictionary<int, long> _processes = [];

    /// <summary>Of the session's process; of the session alone where the process is not known.</summary>
    public long ClientBytes(PoolSession session) => ProcessOf(session) is { } process ? _processes.GetValueOrDefault(process) : session.ChargedBytes;

    public long UserBytes(PoolSession session) => session.Options.UserId is { } user ? _users.GetValueOrDefault(user) : session.ChargedBytes;

    /// <summary>The name and value of the limit that the bytes would break and what counts against it, or null.</summary>
    public (string Name, long LimitBytes, long UsedBytes)? FindLimit(PoolSession session, long bytes)
    {
        if (session.Options.HoldsModels)
        {
            return null;
        }

        if (SegmentSizes.Exceeds(ClientBytes(session), bytes, settings.MaxClientBytes))
        {
            return (nameof(settings.MaxClientBytes), settings.MaxClientBytes, ClientBytes(session));
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
            Add(_users, user, bytes);
        }

        if (ProcessOf(session) is { } process)
        {
            Add(_processes, process, bytes);
        }
    }

    public void Refund(PoolSession session, long bytes) => Charge(session, -bytes);

    private static int? ProcessOf(PoolSession session) => session.Options.ProcessId is > 0 and var process ? process : null;

    private static void Add<T>(Dictionary<T, long> book, T key, long bytes)
        where T : notnull
    {
        book[key] = book.GetValueOrDefault(key) + bytes;
        if (book[key] == 0)
        {
            book.Remove(key);
        }
    }
}
