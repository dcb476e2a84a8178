namespace LpLlm.Memory.Models;

/// <summary>The copies that clients can ask after, by model and name. Those that ended are forgotten after a while, or the book would fill. Thread-safe.</summary>
internal sealed class ReplicaBook(TimeProvider time)
{
    /// <summary>How long the end of a copy can be asked after.</summary>
    public static readonly TimeSpan Memory = TimeSpan.FromMinutes(10);

    /// <summary>Copies that ended, at most: a client that loads layer by layer makes one for each layer and token (U8).</summary>
    public const int MaxEnded = 4096;

    /// <summary>Copies that run at once, at most: each holds its request's plan and opened handles, and calls that begin one return at once.</summary>
    public const int MaxRunning = 256;

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Model, string Name), Replica> _replicas = [];
    private readonly Queue<Replica> _ended = [];
    private int _running;

    public int Count
    {
        get
        {
            lock (_gate)
            {
                ReapUnsynchronized();
                return _replicas.Count;
            }
        }
    }

    /// <exception cref="InvalidOperationException">There is one of that name that has not failed.</exception>
    /// <exception cref="ModelStoreException">Too many run.</exception>
    public Replica Add(string model, string name)
    {
        lock (_gate)
        {
            ReapUnsynchronized();
            if (_replicas.GetValueOrDefault((model, name)) is { Ended.IsFaulted: false })
            {
                throw new InvalidOperationException($"Model '{model}' has a replica '{name}' already: give each copy a name of its own.");
            }

            if (_running >= MaxRunning)
            {
                throw new ModelStoreException(
                    ModelStoreFault.NoRoom, model, $"{MaxRunning} replicas are being copied already: confirm some before replica '{name}' is begun.");
            }

            _running++;
            return _replicas[(model, name)] = new Replica(model, name);
        }
    }

    public void End(Replica replica, Exception? failure)
    {
        lock (_gate)
        {
            _running--;
            replica.End(failure, time.GetTimestamp()); // whoever awaits it goes on elsewhere, and finds the place free
            _ended.Enqueue(replica);
            ReapUnsynchronized();
        }
    }

    public void Remove(Replica replica)
    {
        lock (_gate)
        {
            RemoveUnsynchronized(replica);
        }
    }

    public Replica? Find(string model, string name)
    {
        lock (_gate)
        {
            ReapUnsynchronized();
            return _replicas.GetValueOrDefault((model, name));
        }
    }

    public IReadOnlyList<Replica> List()
    {
        lock (_gate)
        {
            return [.. _replicas.Values];
        }
    }

    private void ReapUnsynchronized()
    {
        while (_ended.TryPeek(out var oldest) && (_ended.Count > MaxEnded || time.GetElapsedTime(oldest.EndedTimestamp) > Memory))
        {
            RemoveUnsynchronized(_ended.Dequeue());
        }
    }

    private void RemoveUnsynchronized(Replica replica)
    {
        if (_replicas.GetValueOrDefault((replica.Model, replica.Name)) == replica)
        {
            _replicas.Remove((replica.Model, replica.Name));
        }
    }
}
