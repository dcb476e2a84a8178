namespace LpLlm.Memory.Models;

/// <summary>Loads: who begins one, who waits for it, and how it ends.</summary>
internal sealed partial class ModelCatalog
{
    /// <summary>Begins a load or joins the one that runs; the caller is counted as one who waits or uses.</summary>
    private async Task<ModelResidency> JoinAsync(string modelPath, RentPriority priority, bool isUse, CancellationToken cancellationToken)
    {
        var folder = ModelFolder.Of(_settings.StoragePath, modelPath);
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (Registered(folder) is null)
            {
                await RegisterForLoadAsync(folder, cancellationToken);
            }

            if (TryJoin(folder, priority, isUse, out var isNew) is { } residency)
            {
                if (!residency.IsCancelled)
                {
                    if (isNew)
                    {
                        _ = Task.Run(() => RunAsync(residency), CancellationToken.None);
                    }

                    return residency;
                }

                // The load before, which nobody wanted any more, is still being ended.
                await residency.Ended.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private Task<long> RegisterForLoadAsync(ModelFolder folder, CancellationToken cancellationToken) => _settings.RegistrationRequired
        ? throw new ModelStoreException(ModelStoreFault.NotFound, folder.Model, "it is not registered, and this store insists on it; register it first.")
        : RegisterAsync(folder, cancellationToken);

    /// <returns>The stay in memory, which the caller has joined unless it is cancelled; null if the registration was cleared meanwhile.</returns>
    private ModelResidency? TryJoin(ModelFolder folder, RentPriority priority, bool isUse, out bool isNew)
    {
        lock (_gate)
        {
            isNew = false;
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (!_entries.TryGetValue(folder.FullPath, out var entry) || entry.RegisteredBytes is null)
            {
                return null;
            }

            if (entry.Current is null)
            {
                isNew = true;
                entry.Failure = null;
                entry.Current = new ModelResidency(entry, priority, _time.GetTimestamp(), new CancellationTokenSource());
            }

            if (!entry.Current.IsCancelled)
            {
                entry.Current.Raise(priority);
                entry.Current.WaiterCount += isUse ? 0 : 1;
                entry.Current.UseCount += isUse ? 1 : 0;
                Touch(entry);
            }

            return entry.Current;
        }
    }

    private async Task WaitAsync(ModelResidency residency, CancellationToken cancellationToken)
    {
        try
        {
            await residency.Ended.WaitAsync(cancellationToken);
        }
        finally
        {
            bool isUnwanted;
            lock (_gate)
            {
                residency.WaiterCount--;
                isUnwanted = residency.GiveUpIfUnwanted();
            }

            CancelIf(isUnwanted, residency);
        }
    }

    private async ValueTask<ModelUse> GrantAsync(ModelResidency residency, Task ready, CancellationToken cancellationToken)
    {
        try
        {
            await ready.WaitAsync(cancellationToken);
            return new ModelUse(this, residency);
        }
        catch
        {
            Release(residency);
            throw;
        }
    }

    /// <summary>Takes a use off the books; the last one of a model that is no longer in them gives the memory back.</summary>
    internal void Release(ModelResidency residency)
    {
        bool isUnwanted;
        bool isLast;
        lock (_gate)
        {
            residency.UseCount--;
            Touch(residency.Entry);
            isUnwanted = residency.GiveUpIfUnwanted();
            isLast = residency is { IsDetached: true, UseCount: 0, Allocation: not null };
            if (isLast)
            {
                _releases.Begin();
            }
        }

        CancelIf(isUnwanted, residency);
        if (isLast)
        {
            Free(residency);
        }
    }

    private static void CancelIf(bool isUnwanted, ModelResidency residency)
    {
        if (isUnwanted)
        {
            residency.Cancel();
        }
    }

    private async Task RunAsync(ModelResidency residency)
    {
        Exception? failure = null;
        try
        {
            await ReadAsync(residency);
        }
        catch (OperationCanceledException e) when (residency.Cancellation.IsCancellationRequested)
        {
            failure = GivenUp(residency, e);
        }
        catch (Exception e)
        {
            failure = e; // goes to all who wait, and to whoever asks later
        }

        End(residency, failure);
    }

    private Exception GivenUp(ModelResidency residency, OperationCanceledException cause)
    {
        lock (_gate)
        {
            return _isDisposed
                ? new ObjectDisposedException(nameof(ModelCatalog))
                : new ModelStoreException(
                    ModelStoreFault.NotFound, residency.Entry.Folder.Model, "its load was given up, because nobody waited for it any more; load it again.", cause);
        }
    }

    private async Task ReadAsync(ModelResidency residency)
    {
        var folder = residency.Entry.Folder;
        var cancellation = residency.Cancellation;
        var partitions = _disk.Find(folder); // anew: the model may have been saved again since it was registered
        var parts = ReadPlan.Of(partitions.Partitions, _settings.ReadBytes);
        var allocation = await AllocateAsync(folder.Model, partitions.LengthBytes, cancellation);
        var pieces = new PieceProgress(parts.Count);
        var tensors = Task.Run(() => _disk.ReadTensors(folder, partitions.LengthBytes), CancellationToken.None);
        _ = tensors.ContinueWith(task => task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        lock (_gate)
        {
            residency.Begin(allocation, pieces, tensors, partitions.LengthBytes);
        }

        residency.TellBegun();
        await _loader.LoadAsync(
            folder.Model, partitions.Partitions, parts, new ExtentMap(allocation.Extents), pieces, () => residency.Priority, cancellation);
    }

    private void End(ModelResidency residency, Exception? failure)
    {
        var entry = residency.Entry;
        var isCancelled = residency.Cancellation.IsCancellationRequested;
        var isFree = false;
        lock (_gate)
        {
            if (failure is null)
            {
                residency.Complete(_time.GetElapsedTime(residency.StartedTimestamp));
                entry.RegisteredBytes = entry.RegisteredBytes is null ? null : residency.LengthBytes;
            }
            else
            {
                entry.Failure = isCancelled ? null : failure;
                isFree = Detach(residency);
            }
        }

        if (isFree)
        {
            Free(residency);
        }

        Log(residency, failure, isCancelled);
        residency.TellEnded(failure);
    }

    private void Log(ModelResidency residency, Exception? failure, bool isCancelled)
    {
        var model = residency.Entry.Folder.Model;
        if (failure is null)
        {
            var time = residency.LoadTime!.Value;
            var rate = time > TimeSpan.Zero ? residency.LengthBytes / time.TotalSeconds / 1e9 : 0;
            ModelStoreLog.Loaded(_logger, model, residency.LengthBytes, time.TotalMilliseconds, rate);
        }
        else if (isCancelled)
        {
            ModelStoreLog.LoadCancelled(_logger, model);
        }
        else if (_failures.TryTake())
        {
            // Whoever asked for the load is told of each. An expected failure's message says all; a stack trace is for the others.
            ModelStoreLog.LoadFailed(_logger, failure.Message, failure is PinnedMemoryException ? null : failure);
        }
    }
}
