using Google.Protobuf;
using LpLlm.Memory.Transport.Messages;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Client;

/// <summary>Models of a pool server, mapped into this process to read: one physical copy for all processes.</summary>
/// <remarks>
/// The server keeps a model in memory while this process has it open, and learns of its end from the kernel. A model that is open stays readable
/// whatever happens to the server: its pages are this process's as well. Only opening needs the server; after its restart, that of the new one.
/// </remarks>
internal sealed class ServerModelStore : IModelStore, IPoolClientObserver, IAsyncDisposable, IDisposable
{
    /// <summary>The server waits no longer at a time, so that one that hangs is noticed; then it is asked again.</summary>
    private static readonly TimeSpan WaitPerCall = TimeSpan.FromSeconds(30);

    private readonly ModelClientOptions _options;
    private readonly Uri _endPoint;
    private readonly TimeProvider _time;
    private readonly PoolClient _client;
    private readonly Outbox _outbox;
    private int _openCount;
    private int _disposed;

    /// <param name="options">Where the server is, and how long to wait.</param>
    /// <param name="transport">Of the options' end point.</param>
    /// <param name="time">For deadlines and heartbeats.</param>
    /// <param name="logger">For connections.</param>
    public ServerModelStore(ModelClientOptions options, PoolTransport transport, TimeProvider time, ILogger logger)
    {
        (_options, _endPoint, _time) = (options, options.Connection.EndPoint, time);
        _client = new PoolClient(options.Connection, transport, this, time, logger);
        _outbox = new Outbox(_client, _endPoint, logger);
    }

    /// <inheritdoc/>
    /// <exception cref="PoolTransportException">The server cannot be reached now, refuses this client, has no model store, or breaks the protocol.</exception>
    /// <exception cref="MemorySourceException">The model cannot be mapped.</exception>
    public async ValueTask<ModelHandle> OpenAsync(string model, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        cancellationToken.ThrowIfCancellationRequested();
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);
        var id = Token.Create();
        var connection = await _client.GetAsync(cancellationToken).ConfigureAwait(false);
        await CloseFirstAsync(cancellationToken).ConfigureAwait(false);
        var asked = _time.GetTimestamp();
        while (true)
        {
            try
            {
                return await OpenAsync(connection, model, id, cancellationToken).ConfigureAwait(false);
            }
            catch (PoolFaultException late) when (late.Code == PoolFaultCode.DeadlineExceeded && _time.GetElapsedTime(asked) < _options.LoadTimeout)
            {
                // It loads: the same question again.
            }
            catch (PoolFaultException fault)
            {
                Close(connection.Session, id);
                throw Explain(fault, model);
            }
            catch (PoolServerUnavailableException) when (
                connection.Lost.IsCancellationRequested && !connection.IsSilent && _time.GetElapsedTime(asked) < _options.LoadTimeout)
            {
                Close(connection.Session, id);
                connection = await _client.GetNextAsync(connection, cancellationToken).ConfigureAwait(false);
                id = Token.Create();
            }
            catch
            {
                Close(connection.Session, id); // also what the server opens only now
                throw;
            }
        }
    }

    Task IPoolClientObserver.ConnectedAsync(PoolConnection connection, CancellationToken cancellationToken) => Task.CompletedTask;

    void IPoolClientObserver.Happened(WatchEvent happened)
    {
        // Nothing is idle here, a model is not taken away, and one that is open outlives the server.
    }

    void IPoolClientObserver.Answered() => _outbox.Start();

    /// <summary>Says goodbye to the server within the request timeout. Models that are still open stay mapped, and in the server's memory until this process ends.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        try
        {
            var timeout = _options.Connection.RequestTimeout;
            var connection = await _client.FindAsync(timeout).ConfigureAwait(false);
            await _outbox.WhenSent().WaitAsync(timeout, _time).ConfigureAwait(false);
            if (Volatile.Read(ref _openCount) == 0 && connection is not null)
            {
                connection.IsEnding = true;
                var goodbye = new ReleaseRequest { Session = connection.SessionBytes, Goodbye = true };
                await connection.CallAsync(PoolMethod.Release, goodbye, ReleaseReply.Parser, TimeSpan.Zero, CancellationToken.None).ConfigureAwait(false);
            }
        }
        catch (Exception away) when (away is PoolTransportException or PoolFaultException or TimeoutException)
        {
            // Goodbye is a courtesy: the server learns of this process's end from the kernel, or from heartbeats that stop.
        }
        finally
        {
            await _client.DisposeAsync().ConfigureAwait(false);
        }
    }

    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    /// <summary>What was closed is told before more is asked for: else the server could refuse for want of the room that this process has given up.</summary>
    private async Task CloseFirstAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _outbox.WhenSent().WaitAsync(_options.Connection.RequestTimeout, _time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new PoolServerUnavailableException(_endPoint.ToString(), "The server does not answer in time. It may be overloaded: look at its log.");
        }
    }

    private async Task<ModelHandle> OpenAsync(PoolConnection connection, string model, Token id, CancellationToken cancellationToken)
    {
        var wait = WaitPerCall < _options.LoadTimeout ? WaitPerCall : _options.LoadTimeout;
        var request = new OpenModelRequest
        {
            Session = connection.SessionBytes,
            OpenId = ByteString.CopyFrom(id.ToBytes()),
            Model = model,
            TimeoutMs = (long)wait.TotalMilliseconds,
        };
        var answer = await connection.CallForModelAsync(request, wait, cancellationToken).ConfigureAwait(false);
        try
        {
            await ReadIndexAsync(connection, answer, request.OpenId, cancellationToken).ConfigureAwait(false);
            var open = Map(connection.Session, id, answer);
            try
            {
                var capabilities = PoolCapabilities.Shared
                    | (answer.Segments.All(segment => segment.IsPageLocked) ? PoolCapabilities.PageLocked : PoolCapabilities.None);
                return new ModelHandle(model, open.Address, answer.LengthBytes, capabilities, answer.Tensors, open)
                {
                    Copier = new ServerModelCopier(_client, connection.Session, answer, model, _options.Connection.RequestTimeout, _time),
                };
            }
            catch
            {
                open.Dispose();
                throw;
            }
        }
        finally
        {
            answer.CloseFiles();
        }
    }

    private async Task ReadIndexAsync(PoolConnection connection, ModelAnswer answer, ByteString openId, CancellationToken cancellationToken)
    {
        while (answer.Tensors.Count < answer.TensorCount)
        {
            var request = new GetModelIndexRequest { Session = connection.SessionBytes, OpenId = openId, First = answer.Tensors.Count };
            var page = await connection.CallAsync(
                PoolMethod.GetModelIndex, request, GetModelIndexReply.Parser, TimeSpan.Zero, cancellationToken).ConfigureAwait(false);
            if (page.Tensors.Count == 0)
            {
                throw new PoolProtocolException(
                    _endPoint.ToString(), $"The server's index ends after {answer.Tensors.Count} of {answer.TensorCount} tensors.");
            }

            answer.Add(page.Tensors);
        }

        if (answer.Tensors.Find(tensor =>
            tensor.OffsetBytes < 0 || tensor.LengthBytes < 0 || tensor.LengthBytes > answer.LengthBytes - tensor.OffsetBytes) is { } outside)
        {
            throw new PoolProtocolException(
                _endPoint.ToString(),
                $"The server's tensor '{outside.Name}' has {outside.LengthBytes} B from byte {outside.OffsetBytes} on, beyond the model's {answer.LengthBytes} B.");
        }
    }

    private OpenModel Map(Token session, Token id, ModelAnswer answer)
    {
        var mappedBytes = answer.MappedBytes;
        var range = AddressRange.Create(mappedBytes);
        var address = range.Take(mappedBytes);
        try
        {
            var at = address;
            foreach (var segment in answer.Segments)
            {
                segment.MapAt(range, at, _endPoint.ToString(), readOnly: true);
                at += (nint)segment.LengthBytes;
            }
        }
        catch
        {
            range.Return(address, mappedBytes);
            range.Dispose();
            throw;
        }

        Interlocked.Increment(ref _openCount);
        return new OpenModel(range, address, mappedBytes, () =>
        {
            Interlocked.Decrement(ref _openCount);
            Close(session, id);
        });
    }

    private void Close(Token session, Token id) => _outbox.Post(
        session,
        PoolMethod.CloseModel,
        new CloseModelRequest { Session = ByteString.CopyFrom(session.ToBytes()), OpenId = ByteString.CopyFrom(id.ToBytes()) });

    private Exception Explain(PoolFaultException fault, string model) => fault.Code switch
    {
        PoolFaultCode.InvalidArgument => new ArgumentException(fault.Message, nameof(model), fault),
        _ => (Exception?)Models.ModelFaults.ToException(fault, model) ?? FaultCodec.ToException(fault, _endPoint, 0),
    };
}
