namespace LpLlm.Memory.Transport;

/// <summary>The server behind a listener. Thread-safe.</summary>
public interface IPoolConnectionHandler
{
    /// <summary>
    /// Whether users other than root and the server's own may be let in. Then every user can connect to the server's Unix sockets, and
    /// <see cref="Accept"/> alone decides. Default false: the system lets nobody else connect.
    /// </summary>
    bool AdmitsOtherUsers => false;

    /// <summary>Takes or refuses a connection, before a byte of it is read.</summary>
    /// <param name="peer">Who is there.</param>
    /// <exception cref="PoolFaultException">The peer is refused; it is told so and the connection is closed.</exception>
    IPoolConnection Accept(PoolPeer peer);
}
