namespace LpLlm.Memory.Transport;

/// <summary>
/// How messages get from a client to a pool server and back: a plug-in, chosen by the scheme of an end point. It carries encoded messages and
/// knows nothing of what they mean. Thread-safe.
/// </summary>
/// <remarks>Every implementation passes <c>PoolTransportContract</c> of the TestKit.</remarks>
public abstract class PoolTransport
{
    /// <summary>The scheme of its end points, for example <c>pipe</c> in <c>pipe:///run/sllm/pool.sock</c>.</summary>
    public abstract string Scheme { get; }

    /// <summary>Connects to a server.</summary>
    /// <param name="endPoint">An end point with this scheme.</param>
    /// <param name="cancellationToken">The caller's deadline.</param>
    /// <exception cref="PoolServerUnavailableException">Nobody listens there, or the server is overloaded.</exception>
    /// <exception cref="PoolProtocolException">Something else listens there.</exception>
    /// <exception cref="PoolFaultException">The server refuses this client.</exception>
    /// <exception cref="ArgumentException">The end point is not one of this transport's.</exception>
    public abstract ValueTask<PoolChannel> ConnectAsync(Uri endPoint, CancellationToken cancellationToken);

    /// <summary>Listens at an end point and hands every connection to the handler.</summary>
    /// <param name="endPoint">An end point with this scheme.</param>
    /// <param name="handler">The server.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="InvalidOperationException">Another server listens there, or the end point is not safe to listen at.</exception>
    /// <exception cref="ArgumentException">The end point is not one of this transport's.</exception>
    public abstract ValueTask<PoolListener> BindAsync(Uri endPoint, IPoolConnectionHandler handler, CancellationToken cancellationToken);
}
