using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Client;

/// <summary>What a <see cref="PoolClient"/> tells its owner.</summary>
internal interface IPoolClientObserver
{
    /// <summary>
    /// A connection stands, and no call but the observer's own is made on it yet: both sides agree here on who holds what. All calls of the connection
    /// before have ended, and what they brought is recorded.
    /// </summary>
    /// <exception cref="PoolTransportException">This connection is given up, and another one tried.</exception>
    Task ConnectedAsync(PoolConnection connection, CancellationToken cancellationToken);

    /// <summary>The server wants something. Must not block.</summary>
    void Happened(WatchEvent happened);

    /// <summary>The server has just answered: a good moment for what is still to be told to it. Must not block.</summary>
    void Answered();
}
