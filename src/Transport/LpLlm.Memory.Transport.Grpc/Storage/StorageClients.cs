using System.Collections.Concurrent;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Grpc.Server;
using LpLlm.Memory.Transport.Server;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Grpc.Storage;

/// <summary>
/// The clients of the storage contract and their lives. The contract has no goodbye and no sign of life, so: a client's memory goes back when
/// the last process that used it is gone; where processes are not known, a session's timeout after the last connection that used it.
/// </summary>
internal sealed class StorageClients : IAsyncDisposable
{
    private readonly ConcurrentDictionary<(uint? UserId, string ClientId), StorageClient> _clients = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly PoolEngine _engine;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Task _upkeep;

    public StorageClients(PoolEngine engine, TimeProvider time, ILogger logger)
    {
        (_engine, _time, _logger) = (engine, time, logger);
        _upkeep = KeepAsync();
    }

    /// <summary>Runs a call of a client; calls of one client run one after the other.</summary>
    /// <param name="connection">The caller, who becomes one of the client's holders.</param>
    /// <param name="clientId">The client; those of other users are not seen.</param>
    /// <param name="create">Whether to make the client if there is none. One that has no lease afterwards is forgotten.</param>
    /// <param name="action">Gets the client, and the caller's part in it; is not called if there is none.</param>
    /// <param name="missing">The answer if there is none.</param>
    /// <param name="cancellationToken">Ends the wait for earlier calls.</param>
    public async ValueTask<T> UseAsync<T>(
        GrpcConnection connection, string clientId, bool create, Func<StorageClient, StorageHolder, ValueTask<T>> action, Func<T> missing,
        CancellationToken cancellationToken)
    {
        var key = (connection.Peer.UserId, clientId);
        while ((create ? _clients.GetOrAdd(key, NewClient) : _clients.GetValueOrDefault(key)) is { } client)
        {
            await client.Gate.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                DropExpired(client);
                if (!client.IsRemoved && (create || client.Holders.Count > 0))
                {
                    return await action(client, Join(client, connection)).ConfigureAwait(false);
                }
            }
            finally
            {
                RemoveIfUnused(client);
                client.Gate.Release();
            }
        }

        return missing();
    }

    /// <summary>Gives all of the client's memory back, as it asked for.</summary>
    public void Free(StorageClient client)
    {
        foreach (var processId in client.Holders.Keys.ToList())
        {
            End(client, processId, _engine.Close);
        }

        GrpcLog.StorageFreed(_logger, client.Key.ClientId);
    }

    /// <summary>Leases stay as they are: the engine outlives the listener, or lets go of everything itself.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _upkeep.ConfigureAwait(false);
        using var patience = new CancellationTokenSource(ConnectionCalls.Patience);
        foreach (var client in _clients.Values)
        {
            // The end of a process may come just now. A call that does not heed its end keeps its memory: the engine waits for it, or goes with the process.
            try
            {
                await client.Gate.WaitAsync(patience.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                continue;
            }

            foreach (var holder in client.Holders.Values)
            {
                holder.Grant?.Dispose();
            }

            client.Gate.Release();
        }
    }

    private static StorageClient NewClient((uint? UserId, string ClientId) key) => new(key, new SemaphoreSlim(1));

    private StorageHolder Join(StorageClient client, GrpcConnection connection)
    {
        var peer = connection.Peer;
        var processId = peer.Exited is null ? 0 : peer.ProcessId ?? 0;
        if (!client.Holders.TryGetValue(processId, out var holder))
        {
            holder = new StorageHolder(_engine.Open(new SessionOptions
            {
                ClientName = client.Key.ClientId,
                ProcessId = peer.ProcessId,
                UserId = peer.UserId,
                IsWatched = peer.Exited is not null,
                IsThisProcess = peer.IsThisProcess,
            }));
            client.Holders.Add(processId, holder);
            peer.Exited?.ContinueWith(
                _ => ExitedAsync(client, processId, holder),
                holder.Session.Over.Token, // a process that allocates and frees for ever must not fill the server with what is gone
                TaskContinuationOptions.OnlyOnRanToCompletion,
                TaskScheduler.Default);
        }

        if (peer.Exited is null)
        {
            // A call is a sign of life by itself: its connection may be gone before the next round of upkeep.
            holder.Connections.Add(connection);
            Renew(holder.Session);
        }

        holder.Grant ??= client.SizeMb > 0 ? _engine.Attach(holder.Session, client.LeaseToken) : null;
        return holder;
    }

    private async Task ExitedAsync(StorageClient client, int processId, StorageHolder holder)
    {
        try
        {
            await client.Gate.WaitAsync(_stopping.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            _engine.Exited(holder.Session);
            return;
        }

        try
        {
            // Even one that was freed before: now its memory can be used again.
            _engine.Exited(holder.Session);
            if (client.Holders.GetValueOrDefault(processId) == holder)
            {
                End(client, processId, static _ => { });
                GrpcLog.StorageReclaimed(_logger, client.Key.ClientId);
            }
        }
        finally
        {
            RemoveIfUnused(client);
            client.Gate.Release();
        }
    }

    private static void End(StorageClient client, int processId, Action<PoolSession> how)
    {
        if (client.Holders.Remove(processId, out var holder))
        {
            how(holder.Session);
            holder.Grant?.Dispose();
        }
    }

    private void RemoveIfUnused(StorageClient client)
    {
        if (client.SizeMb == 0)
        {
            // Never got its lease.
            foreach (var processId in client.Holders.Keys.ToList())
            {
                End(client, processId, _engine.Close);
            }
        }

        if (client.Holders.Count == 0 && !client.IsRemoved)
        {
            client.IsRemoved = true;
            _clients.TryRemove(KeyValuePair.Create(client.Key, client));
        }
    }

    /// <summary>Of holders whose process is not known the engine counts the time.</summary>
    private void DropExpired(StorageClient client)
    {
        if (client.Holders.TryGetValue(0, out var holder) && _engine.Find(holder.Session.Token) is null)
        {
            End(client, 0, static _ => { });
            GrpcLog.StorageReclaimed(_logger, client.Key.ClientId);
        }
    }

    /// <summary>An open connection is a sign of life: HTTP/2's pings end those of dead hosts.</summary>
    private async Task KeepAsync()
    {
        var interval = _engine.Settings.SessionTimeout / 3;
        while (!_stopping.IsCancellationRequested)
        {
            await Task.Delay(interval, _time, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            foreach (var client in _clients.Values)
            {
                // Busy: its call is a sign of life, too.
                if (!client.Gate.Wait(0))
                {
                    continue;
                }

                try
                {
                    Keep(client);
                }
                finally
                {
                    client.Gate.Release();
                }
            }
        }
    }

    private void Keep(StorageClient client)
    {
        DropExpired(client);
        if (client.Holders.TryGetValue(0, out var holder))
        {
            holder.Connections.RemoveWhere(static connection => connection.Closed.IsCancellationRequested);
            if (holder.Connections.Count > 0)
            {
                Renew(holder.Session);
            }
        }

        RemoveIfUnused(client);
    }

    private void Renew(PoolSession session)
    {
        try
        {
            _engine.Renew(session);
        }
        catch (PoolFaultException e) when (e.Code is PoolFaultCode.NotFound or PoolFaultCode.Unavailable)
        {
            // It expired just now, or the engine stops: the next round finds it gone.
        }
    }
}
