namespace LpLlm.Memory.Transport.Engine;

/// <summary>
/// What one may take of a count that all clients share: one process at most a quarter, one user at most a half, all users together at most three
/// quarters. The last quarter is for root, the server's own user and its own process: they must be able to look and to clean up.
/// </summary>
internal static class FairShare
{
    /// <summary>What the newcomer's share is and whose, if it is used up; else null.</summary>
    public static (int Most, string Whose)? FindExceeded(IReadOnlyCollection<SessionOptions> present, SessionOptions newcomer, int capacity)
    {
        (int Most, string Whose, Func<SessionOptions, bool> IsCounted)[] shares =
        [
            (capacity, "of all clients", _ => true),
            (Quarters(1), "of one process", one => HasProcess(newcomer) && HasProcess(one) && one.ProcessId == newcomer.ProcessId),
            (Quarters(2), "of one user", one => !newcomer.IsPrivileged && !one.IsPrivileged && one.UserId == newcomer.UserId),
            (Quarters(3), "of clients other than root's and the server's own", one => !newcomer.IsPrivileged && !one.IsPrivileged),
        ];
        foreach (var (most, whose, isCounted) in shares)
        {
            if (present.Count(isCounted) >= most)
            {
                return (most, whose);
            }
        }

        return null;

        int Quarters(int count) => Math.Max(1, (int)((long)capacity * count / 4));
    }

    /// <summary>Pools of this process are the host's own, each a client.</summary>
    private static bool HasProcess(SessionOptions options) => options is { ProcessId: > 0, IsThisProcess: false };
}
