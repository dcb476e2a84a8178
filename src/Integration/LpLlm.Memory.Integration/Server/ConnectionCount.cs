using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Models;
using LpLlm.Memory.Transport.Server;

namespace LpLlm.Memory.Server;

/// <summary>
/// What all listeners of a server share: counts the connections of other processes, so that a stop can wait for the last to end, and has the one
/// budget for their requests.
/// </summary>
internal sealed class ConnectionCount(PoolEngine engine, IModelService? models, IPoolConnectionHandler server, PoolTransportLimits limits)
    : IPoolConnectionHandler, IPoolEngineHost, IRequestBudgetHost
{
    private readonly Lock _gate = new();
    private int _open;
    private TaskCompletionSource? _none;

    public PoolEngine Engine => engine;

    public IModelService? Models => models;

    public PeerBudget RequestBudget { get; } = RequestBytes.CreateBudget(limits);

    public bool AdmitsOtherUsers => server.AdmitsOtherUsers;

    public IPoolConnection Accept(PoolPeer peer)
    {
        var connection = server.Accept(peer);
        if (peer.IsThisProcess)
        {
            return connection;
        }

        lock (_gate)
        {
            _open++;
        }

        return new Counted(connection, this);
    }

    /// <summary>Completes when there is none.</summary>
    public Task WaitForNoneAsync()
    {
        lock (_gate)
        {
            return _open == 0
                ? Task.CompletedTask
                : (_none ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    private void Closed()
    {
        lock (_gate)
        {
            if (--_open == 0)
            {
                _none?.TrySetResult();
                _none = null;
            }
        }
    }

    private sealed class Counted(IPoolConnection connection, ConnectionCount count) : IPoolConnection
    {
        public ValueTask<PoolMessage> HandleAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken) =>
            connection.HandleAsync(method, request, cancellationToken);

        public IAsyncEnumerable<PoolMessage> WatchAsync(PoolMessage request, CancellationToken cancellationToken) =>
            connection.WatchAsync(request, cancellationToken);

        public void Closed()
        {
            try
            {
                connection.Closed();
            }
            finally
            {
                count.Closed();
            }
        }
    }
}
