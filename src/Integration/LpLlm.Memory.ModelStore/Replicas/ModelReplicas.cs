using LpLlm.Memory.Devices;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Models;

/// <summary>
/// Copies of models in the device memory of clients, who own that memory. Everything is checked before a call returns, and nothing that is wrong with one
/// copy concerns another. Thread-safe.
/// </summary>
internal sealed class ModelReplicas : IAsyncDisposable
{
    /// <summary>A device takes milliseconds for what is under way; one that hangs must not keep the program from ending.</summary>
    private static readonly TimeSpan DisposalPatience = TimeSpan.FromSeconds(5);

    private readonly ModelCatalog _catalog;
    private readonly IDeviceSet _devices;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly FailurePace _failures;
    private readonly ReplicaBook _book;
    private readonly ReplicaWriter _writer = new();
    private readonly CancellationTokenSource _lifetime = new();
    private readonly Lazy<Task<IReadOnlyList<IMemoryDevice>>> _loading;
    private int _isDisposed;

    /// <param name="catalog">The models.</param>
    /// <param name="devices">This host's; their driver is loaded by the first call.</param>
    /// <param name="time">For how long a copy's end is remembered.</param>
    /// <param name="logger">For copies that fail.</param>
    public ModelReplicas(ModelCatalog catalog, IDeviceSet devices, TimeProvider time, ILogger logger)
    {
        (_catalog, _devices, _time, _logger) = (catalog, devices, time, logger);
        _failures = new FailurePace(time);
        _book = new ReplicaBook(time);

        // Off the caller's thread: the driver takes 0.1 to 0.4 s.
        _loading = new Lazy<Task<IReadOnlyList<IMemoryDevice>>>(() => Task.Run(() => devices.Devices));
    }

    /// <summary>Copies that can be asked after.</summary>
    public int Count => _book.Count;

    /// <summary>
    /// Checks a request, opens its handles, and begins to copy; the model is loaded if it is not (U4), and kept in memory until the copy ends (U5).
    /// </summary>
    /// <exception cref="ArgumentException">The request cannot be carried out; the message says which part of it and why (U1, U7).</exception>
    /// <exception cref="InvalidOperationException">There is a replica of that name.</exception>
    /// <exception cref="ModelStoreException">There is no such model, it is not registered though it must be, this host has no device, or too many copies run.</exception>
    public async ValueTask StartAsync(ReplicaRequest request, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(request.Replica);
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _isDisposed) != 0, this);
        var devices = await GetDevicesAsync(request.Model, cancellationToken).ConfigureAwait(false);
        var length = await _catalog.MeasureAsync(request.Model, cancellationToken).ConfigureAwait(false);
        var targets = ReplicaCheck.Check(request, length, devices);
        var replica = _book.Add(request.Model, request.Replica);
        try
        {
            var imports = await Task.Run(() => ReplicaImports.Open(targets), CancellationToken.None).ConfigureAwait(false);
            _ = Task.Run(() => RunAsync(replica, imports), CancellationToken.None);
        }
        catch
        {
            _book.End(replica, new ModelStoreException(ModelStoreFault.DeviceFailed, request.Model, $"replica '{request.Replica}' was refused."));
            _book.Remove(replica);
            throw;
        }
    }

    /// <summary>The devices of this host; the first call loads the driver.</summary>
    /// <exception cref="ModelStoreException">There is none, and why.</exception>
    public async ValueTask<IReadOnlyList<IMemoryDevice>> GetDevicesAsync(string model, CancellationToken cancellationToken)
    {
        var devices = await _loading.Value.WaitAsync(cancellationToken).ConfigureAwait(false);
        return devices.Count > 0
            ? devices
            : throw new ModelStoreException(ModelStoreFault.DeviceFailed, model, $"this server has no devices. {_devices.UnavailableReason}");
    }

    /// <summary>Waits for a copy, or tells at once how it ended; one that is not known is an error at once (U3).</summary>
    /// <exception cref="ModelStoreException">There is no such copy, or it failed, with the cause.</exception>
    public async ValueTask ConfirmAsync(string model, string replica, CancellationToken cancellationToken)
    {
        var known = _book.Find(model, replica) ?? throw new ModelStoreException(
            ModelStoreFault.NotFound, model, $"it has no replica '{replica}': it was never begun, was refused, or ended more than {ReplicaBook.Memory.TotalMinutes:0} min ago.");
        await known.Ended.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Waits for the copies that run now, then forgets all that have ended.</summary>
    public async ValueTask ClearAsync(CancellationToken cancellationToken)
    {
        var replicas = _book.List();
        await Task.WhenAll(replicas.Select(replica => replica.Ended)).WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
        foreach (var replica in replicas)
        {
            _book.Remove(replica);
        }
    }

    /// <summary>Ends all copies, and waits until no device is at work with them; 5 s at most.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        await _lifetime.CancelAsync().ConfigureAwait(false);
        var copies = Task.WhenAll(_book.List().Select(replica => replica.Ended));
        await copies.WaitAsync(DisposalPatience, _time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (copies.IsCompleted)
        {
            _writer.Dispose();
        }
        else
        {
            ReplicaLog.Stuck(_logger, DisposalPatience.TotalSeconds);
        }
    }

    private async Task RunAsync(Replica replica, ReplicaImports imports)
    {
        Exception? failure = null;
        var isLost = false;
        ModelUse? use = null;
        try
        {
            use = await _catalog.UseWhileLoadingAsync(replica.Model, RentPriority.Normal, _lifetime.Token).ConfigureAwait(false);
            await _writer.WriteAsync(use, imports.Plans, _lifetime.Token).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            failure = exception; // goes to whoever asks after the copy
            isLost = exception is DeviceCopyLostException;
        }

        try
        {
            if (!isLost)
            {
                var refusal = imports.Close();
                failure ??= refusal;
                use?.Dispose();
            }
        }
        catch (Exception exception)
        {
            failure ??= exception;
        }

        End(replica, failure);
    }

    private void End(Replica replica, Exception? failure)
    {
        var told = failure is null or ModelStoreException ? failure : new ModelStoreException(
            ModelStoreFault.DeviceFailed, replica.Model, $"replica '{replica.Name}' failed. {failure.Message}", failure);
        try
        {
            if (told is not null && _failures.TryTake())
            {
                ReplicaLog.Failed(_logger, told.Message, failure is PinnedMemoryException or OperationCanceledException or DeviceCopyLostException ? null : failure);
            }
        }
        finally
        {
            _book.End(replica, told);
        }
    }
}
