using System.Runtime.ExceptionServices;

namespace LpLlm.Memory.Models;

/// <summary>Room: who goes, when, and where the memory goes.</summary>
internal sealed partial class ModelCatalog
{
    /// <summary>Takes a model out of memory; the registration stays. Waits for a load that runs.</summary>
    /// <exception cref="ModelStoreException">It is not in memory, or somebody uses it.</exception>
    public async ValueTask UnloadAsync(string modelPath, CancellationToken cancellationToken = default)
    {
        var folder = ModelFolder.Of(_settings.StoragePath, modelPath);
        while (TryUnload(folder) is { } running)
        {
            await running.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>
    /// Takes all models out of memory that nobody uses, those included whose load runs now and is waited for, and forgets all registrations.
    /// A model in use stays, and can be evicted when it no longer is.
    /// </summary>
    public async ValueTask ClearAsync(CancellationToken cancellationToken = default)
    {
        Task[] running;
        lock (_gate)
        {
            // Only those of this instant: loads that begin meanwhile are of clients who were not cleared.
            running = [.. _entries.Values.Select(entry => entry.Current).OfType<ModelResidency>()
                .Where(current => !current.IsLoaded).Select(current => current.Ended)];
        }

        await Task.WhenAll(running).WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
        ForgetRegistrations().ForEach(Free);
    }

    /// <summary>Gives up least recently used models that nobody uses, for others who need the memory.</summary>
    /// <param name="bytes">How much is needed.</param>
    /// <returns>Bytes given back; fewer than needed when nothing more can go, or the floor is reached.</returns>
    public long Evict(long bytes)
    {
        long freed = 0;
        while (freed < bytes && EvictOldest(_settings.FloorBytes) is > 0 and var length)
        {
            freed += length;
        }

        return freed;
    }

    private Task? TryUnload(ModelFolder folder)
    {
        ModelResidency residency;
        lock (_gate)
        {
            residency = _entries.GetValueOrDefault(folder.FullPath)?.Current ?? throw NotResident(folder);
            if (!residency.IsLoaded)
            {
                return residency.Ended;
            }

            if (!residency.IsIdle)
            {
                throw new ModelStoreException(
                    ModelStoreFault.InUse, folder.Model, $"{residency.UseCount} use it; unload it when they have closed it.");
            }

            Detach(residency);
        }

        Free(residency);
        return null;
    }

    /// <summary>Takes memory, and what is missing from models that nobody uses.</summary>
    private async Task<ModelAllocation> AllocateAsync(string model, long lengthBytes, CancellationToken cancellationToken)
    {
        await _allocating.WaitAsync(cancellationToken);
        try
        {
            while (true)
            {
                var arrived = _releases.Completed;
                ModelStoreException refusal;
                try
                {
                    return await _memory.AllocateAsync(model, lengthBytes, cancellationToken);
                }
                catch (ModelStoreException e) when (e.Fault == ModelStoreFault.NoRoom)
                {
                    refusal = e;
                }

                await MakeRoomAsync(refusal, arrived, cancellationToken);
            }
        }
        finally
        {
            _allocating.Release();
        }
    }

    /// <summary>Sees to it that asking again makes sense, or throws the refusal. One model goes at a time: no more than must.</summary>
    private async Task MakeRoomAsync(ModelStoreException refusal, long arrivedBefore, CancellationToken cancellationToken)
    {
        var neverFits = refusal.InnerException is PinnedMemoryException { IsTransient: false };
        if (!neverFits && _releases.NextAfter(arrivedBefore) is { } release)
        {
            await release.WaitAsync(cancellationToken);
        }
        else if (neverFits || EvictOldest(floorBytes: 0) == 0)
        {
            ExceptionDispatchInfo.Throw(refusal);
        }
    }

    /// <returns>Bytes given back; 0 when nothing can go.</returns>
    private long EvictOldest(long floorBytes)
    {
        ModelResidency? oldest;
        lock (_gate)
        {
            var resident = _entries.Values.Sum(entry => entry.Current?.Allocation?.LengthBytes ?? 0);
            oldest = _entries.Values
                .Where(entry => entry.Current is { IsIdle: true } && resident - entry.Current.Allocation!.LengthBytes >= floorBytes)
                .MinBy(entry => entry.LastUse)?.Current;
            if (oldest is not null)
            {
                Detach(oldest);
            }
        }

        if (oldest is null)
        {
            return 0;
        }

        Free(oldest);
        var length = oldest.Allocation!.LengthBytes;
        ModelStoreLog.Evicted(_logger, oldest.Entry.Folder.Model, length);
        return length;
    }

    /// <returns>Idle models, whose memory the caller gives back, outside the lock.</returns>
    private List<ModelResidency> ForgetRegistrations()
    {
        lock (_gate)
        {
            foreach (var entry in _entries.Values)
            {
                entry.RegisteredBytes = null;
                entry.Failure = null;
            }

            var idle = _entries.Values.Select(entry => entry.Current).OfType<ModelResidency>().Where(current => current.IsIdle).ToList();
            idle.ForEach(residency => Detach(residency));
            foreach (var entry in _entries.Values.Where(entry => entry.IsForgettable).ToList())
            {
                _entries.Remove(entry.Folder.FullPath);
            }

            return idle;
        }
    }

    /// <returns>Whose memory the caller gives back, outside the lock; that of models in use goes with their last use.</returns>
    private List<ModelResidency> DetachAll()
    {
        lock (_gate)
        {
            return [.. _entries.Values.Select(entry => entry.Current).OfType<ModelResidency>().ToList().Where(Detach)];
        }
    }

    /// <summary>Takes a stay in memory off the books; under the lock.</summary>
    /// <returns>Whether the caller must now, outside the lock, give its memory back; else the last use does.</returns>
    private bool Detach(ModelResidency residency)
    {
        var entry = residency.Entry;
        entry.Current = null;
        residency.IsDetached = true;
        if (entry.IsForgettable)
        {
            _entries.Remove(entry.Folder.FullPath);
        }

        var isFree = residency is { UseCount: 0, Allocation: not null };
        if (isFree)
        {
            _releases.Begin();
        }

        return isFree;
    }

    private void Free(ModelResidency residency)
    {
        try
        {
            residency.Allocation!.Dispose();
        }
        finally
        {
            _releases.End();
        }
    }
}
