namespace LpLlm.Memory.Transport;

/// <summary>The server's side of one connection. Thread-safe: the requests of one connection may run side by side.</summary>
public interface IPoolConnection
{
    /// <summary>Answers a request.</summary>
    /// <param name="method">Any but <see cref="PoolMethod.Watch"/>.</param>
    /// <param name="request">Owned by the handler, which disposes it.</param>
    /// <param name="cancellationToken">Fires when the caller cancels, its deadline passes or the connection ends.</param>
    /// <returns>The reply. Its descriptors stay the handler's; its <see cref="PoolMessage.Hold"/> is disposed once they are duplicated.</returns>
    /// <exception cref="PoolFaultException">Sent to the caller. Any other exception is sent as <see cref="PoolFaultCode.Internal"/>, without details.</exception>
    ValueTask<PoolMessage> HandleAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken);

    /// <summary>Answers <see cref="PoolMethod.Watch"/> until the token fires or the sequence ends.</summary>
    /// <param name="request">Owned by the handler, which disposes it.</param>
    /// <param name="cancellationToken">Fires when the caller cancels or the connection ends.</param>
    /// <exception cref="PoolFaultException">Sent to the caller; ends the stream.</exception>
    IAsyncEnumerable<PoolMessage> WatchAsync(PoolMessage request, CancellationToken cancellationToken);

    /// <summary>The connection has ended, for whatever reason. Called once, after the tokens of all running calls have fired.</summary>
    void Closed();
}
