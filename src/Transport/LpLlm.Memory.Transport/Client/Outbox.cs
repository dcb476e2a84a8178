using Google.Protobuf;
using LpLlm.Memory.Transport.Messages;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Client;

/// <summary>
/// What the server is still to be told: memory that was given back, requests that were given up. Sent in the background, in order, and again
/// after a lost reply. Thread-safe; posting never blocks.
/// </summary>
internal sealed class Outbox(PoolClient client, Uri endPoint, ILogger logger)
{
    private readonly Lock _gate = new();
    private readonly Queue<Item> _items = [];
    private Task _sending = Task.CompletedTask;
    private bool _isSending;
    private bool _again;

    /// <param name="session">Whose it is: with the session the message is dropped, because nothing of it is left on the server.</param>
    /// <param name="method">With a reply that says nothing.</param>
    /// <param name="message">The request.</param>
    public void Post(Token session, PoolMethod method, IMessage message) =>
        Post(session, method, connection => SendAsync(connection, method, message));

    /// <summary>As the other overload, for what takes more than one call. It is done again as a whole.</summary>
    public void Post(Token session, PoolMethod method, Func<PoolConnection, Task> send)
    {
        lock (_gate)
        {
            _items.Enqueue(new Item(session, method, send));
            StartUnsynchronized();
        }
    }

    /// <summary>Tries again what could not be sent.</summary>
    public void Start()
    {
        lock (_gate)
        {
            if (_items.Count > 0)
            {
                StartUnsynchronized();
            }
        }
    }

    /// <summary>Completes when all is sent, or cannot be sent now.</summary>
    public Task WhenSent()
    {
        lock (_gate)
        {
            return _sending;
        }
    }

    private void StartUnsynchronized()
    {
        _again = true;
        if (!_isSending)
        {
            _isSending = true;
            _sending = Task.Run(SendAllAsync);
        }
    }

    private async Task SendAllAsync()
    {
        while (Next() is { } item)
        {
            try
            {
                var connection = await client.GetAsync(CancellationToken.None).ConfigureAwait(false);
                if (connection.Session == item.Session)
                {
                    await item.Send(connection).ConfigureAwait(false);
                }
            }
            catch (PoolFaultException gone) when (gone.Code == PoolFaultCode.NotFound)
            {
                // The server has it back already: the reply to an earlier attempt got lost, or the lease was revoked.
            }
            catch (PoolFaultException refusal)
            {
                TransportLog.GiveBackRefused(logger, refusal, endPoint, item.Method);
            }
            catch (Exception failure) when (failure is PoolTransportException or ObjectDisposedException)
            {
                if (StopUnlessAsked())
                {
                    return; // the next connection or heartbeat tries again
                }

                continue;
            }

            lock (_gate)
            {
                _items.Dequeue();
            }
        }
    }

    private static Task SendAsync(PoolConnection connection, PoolMethod method, IMessage message) => method switch
    {
        PoolMethod.Shrink => connection.CallAsync(method, message, ShrinkReply.Parser, TimeSpan.Zero, CancellationToken.None),
        PoolMethod.Release => connection.CallAsync(method, message, ReleaseReply.Parser, TimeSpan.Zero, CancellationToken.None),
        PoolMethod.CloseModel => connection.CallAsync(method, message, CloseModelReply.Parser, TimeSpan.Zero, CancellationToken.None),
        _ => connection.CallAsync(PoolMethod.Withdraw, message, WithdrawReply.Parser, TimeSpan.Zero, CancellationToken.None),
    };

    private Item? Next()
    {
        lock (_gate)
        {
            _again = false;
            if (_items.TryPeek(out var item))
            {
                return item;
            }

            _isSending = false;
            return null;
        }
    }

    private bool StopUnlessAsked()
    {
        lock (_gate)
        {
            _isSending = _again;
            return !_again;
        }
    }

    private readonly record struct Item(Token Session, PoolMethod Method, Func<PoolConnection, Task> Send);
}
