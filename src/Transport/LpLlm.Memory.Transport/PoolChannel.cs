namespace LpLlm.Memory.Transport;

/// <summary>A client's connection to a pool server. Thread-safe: calls may run side by side.</summary>
public abstract class PoolChannel : IAsyncDisposable
{
    /// <summary>The end point, for errors and logs.</summary>
    public abstract Uri EndPoint { get; }

    /// <summary>Whether descriptors travel both ways; else segments travel as paths.</summary>
    public abstract bool PassesFiles { get; }

    /// <summary>Fires when the connection is lost or disposed. A transport that connects anew by itself fires only when disposed.</summary>
    public abstract CancellationToken Closed { get; }

    /// <summary>Sends a request and awaits its reply. A token that can be cancelled is the caller's deadline: there is no other.</summary>
    /// <param name="method">Any but <see cref="PoolMethod.Watch"/>.</param>
    /// <param name="request">Stays the caller's.</param>
    /// <param name="cancellationToken">Ends the call and tells the server; a reply that crosses this is dropped with its descriptors.</param>
    /// <returns>The reply, owned by the caller.</returns>
    /// <exception cref="PoolFaultException">The server's answer is an error.</exception>
    /// <exception cref="PoolServerUnavailableException">There is no connection, or it was lost; whether the server acted is not known.</exception>
    /// <exception cref="PoolProtocolException">The other end does not speak this protocol, or broke it.</exception>
    public abstract ValueTask<PoolMessage> SendAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken);

    /// <summary>Sends <see cref="PoolMethod.Watch"/> and reads its events.</summary>
    /// <param name="request">Stays the caller's.</param>
    /// <param name="cancellationToken">Ends the stream and tells the server.</param>
    /// <exception cref="PoolFaultException">As for <see cref="SendAsync"/>, as are the others.</exception>
    public abstract IAsyncEnumerable<PoolMessage> WatchAsync(PoolMessage request, CancellationToken cancellationToken);

    /// <summary>Closes the connection; running calls fail with <see cref="PoolServerUnavailableException"/>.</summary>
    public abstract ValueTask DisposeAsync();
}
