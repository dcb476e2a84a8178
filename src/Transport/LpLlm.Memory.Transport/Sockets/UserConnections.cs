namespace LpLlm.Memory.Transport.Sockets;

/// <summary>
/// Connections of each user to one listener. Users other than root and the server's own get a quarter of all at most, so that one of them
/// cannot keep the others out. Thread-safe.
/// </summary>
internal sealed class UserConnections(int maxConnections, uint ownUserId)
{
    private readonly Dictionary<uint, int> _counts = [];

    private int MaxOfOther { get; } = Math.Max(1, maxConnections / 4);

    /// <summary>Counts a connection until <see cref="Leave"/>.</summary>
    /// <exception cref="PoolFaultException">The user has too many, or has sent too much that cannot be closed; this one is not counted.</exception>
    public void Enter(PoolPeer peer)
    {
        if (Counted(peer) is not { } user)
        {
            return;
        }

        if (ForeignFiles.CountPending(user) is > ForeignFiles.MostPending and var pending)
        {
            throw new PoolFaultException(
                PoolFaultCode.ResourceExhausted, $"User {user} has sent {pending} descriptors that lead to no memory and cannot be closed. End what keeps them open.");
        }

        lock (_counts)
        {
            var count = _counts.GetValueOrDefault(user);
            if (count >= MaxOfOther)
            {
                throw new PoolFaultException(
                    PoolFaultCode.ResourceExhausted,
                    $"User {user} has {count} connections here, a quarter of the {maxConnections} of all users (MaxConnections): close some first.");
            }

            _counts[user] = count + 1;
        }
    }

    public void Leave(PoolPeer peer)
    {
        if (Counted(peer) is not { } user)
        {
            return;
        }

        lock (_counts)
        {
            if (--_counts[user] == 0)
            {
                _counts.Remove(user);
            }
        }
    }

    private uint? Counted(PoolPeer peer) => peer.UserId is { } user && user != 0 && user != ownUserId ? user : null;
}
