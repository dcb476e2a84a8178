namespace LpLlm.Memory.Cuda;

/// <summary>
/// The fences of one stream, which complete in order: their events, used again and again, and who awaits them. Asking about a fence that has
/// completed is a comparison of two numbers.
/// </summary>
/// <remarks>Thread-safe; the driver is never called under the gate. After a failure no further fence completes, and all waits fail.</remarks>
internal sealed class StreamFences(CudaDevice device, nint stream)
{
    // Fences that nobody asks about would pile up events; asking at this many keeps them few, and 64 KiB copies take longer than the asking.
    private const int ManyEvents = 256;

    private readonly Lock _gate = new();
    private readonly Queue<(long Number, nint Event)> _recorded = new();
    private readonly Stack<nint> _free = new();
    private readonly List<CudaFence> _awaited = [];
    private readonly CudaRuntime _runtime = device.Runtime;
    private long _lastNumber;
    private long _completed;
    private Exception? _failure;
    private int _asking;
    private bool _isWatched;
    private bool _isClosed;

    /// <summary>Records an event on the stream. One call at a time, as for all calls of a stream.</summary>
    public CudaFence Record()
    {
        var taken = TakeEvent();
        var code = _runtime.Driver.RecordEvent(taken, stream);
        if (code != CudaError.Success)
        {
            GiveBackEvent(taken);
            throw CudaError.ToException(_runtime.Driver, code, "cuEventRecord");
        }

        var fence = new CudaFence(this, ++_lastNumber, taken);
        int count;
        lock (_gate)
        {
            _recorded.Enqueue((fence.Number, taken));
            count = _recorded.Count;
        }

        if (count >= ManyEvents)
        {
            Ask();
        }

        return fence;
    }

    public bool HasCompleted(long number)
    {
        if (number > Volatile.Read(ref _completed))
        {
            Ask();
        }

        return number <= Volatile.Read(ref _completed);
    }

    public Task WhenCompleted(CudaFence fence)
    {
        bool mustWatch;
        Task task;
        lock (_gate)
        {
            if (fence.Number <= _completed)
            {
                return Task.CompletedTask;
            }

            if (_failure is { } failure)
            {
                return Task.FromException(failure);
            }

            if (fence.Completion is null)
            {
                fence.Completion = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _awaited.Add(fence);
            }

            task = fence.Completion.Task;
            mustWatch = !_isWatched;
            _isWatched = true;
        }

        if (mustWatch)
        {
            _runtime.Poller.Watch(this);
        }

        return task;
    }

    /// <summary>Asks the driver how far the stream is, and tells those who wait.</summary>
    /// <returns>Whether it got any further.</returns>
    public bool Ask()
    {
        if (Interlocked.Exchange(ref _asking, 1) != 0)
        {
            return false; // another thread is at it, and will tell
        }

        var before = _completed;
        try
        {
            var code = _failure is null ? device.TryMakeCurrent() : CudaError.NotReady;
            while (code == CudaError.Success && TryPeek(out var oldest))
            {
                code = _runtime.Driver.QueryEvent(oldest.Event);
                if (code == CudaError.Success)
                {
                    Retire(oldest);
                }
            }

            if (code is not (CudaError.Success or CudaError.NotReady))
            {
                Volatile.Write(ref _failure, CudaError.ToException(_runtime.Driver, code, "cuEventQuery (work of the stream)"));
            }
        }
        finally
        {
            Volatile.Write(ref _asking, 0);
        }

        Tell();
        return _completed != before;
    }

    /// <summary>Called by the poller after asking.</summary>
    /// <returns>Whether nobody waits any more; the next who does has it watched anew.</returns>
    public bool TryLeave()
    {
        lock (_gate)
        {
            var isNeeded = _awaited.Count > 0 || (_isClosed && _recorded.Count > 0 && _failure is null);
            _isWatched = isNeeded;
            return !isNeeded;
        }
    }

    /// <summary>The stream is gone: its events follow as they complete.</summary>
    public void Close()
    {
        nint[] unused;
        bool mustWatch;
        lock (_gate)
        {
            _isClosed = true;
            unused = [.. _free];
            _free.Clear();
            mustWatch = _recorded.Count > 0 && !_isWatched;
            _isWatched |= mustWatch;
        }

        foreach (var each in unused)
        {
            _ = _runtime.Driver.DestroyEvent(each); // nothing is left to do if it fails, and the stream's own failure is told
        }

        if (mustWatch)
        {
            _runtime.Poller.Watch(this);
        }
    }

    public nint TakeEvent()
    {
        lock (_gate)
        {
            if (_free.TryPop(out var free))
            {
                return free;
            }
        }

        _runtime.Check(_runtime.Driver.CreateEvent(out var created), "cuEventCreate");
        return created;
    }

    public void GiveBackEvent(nint taken)
    {
        lock (_gate)
        {
            if (!_isClosed)
            {
                _free.Push(taken);
                return;
            }
        }

        _ = _runtime.Driver.DestroyEvent(taken);
    }

    private bool TryPeek(out (long Number, nint Event) oldest)
    {
        lock (_gate)
        {
            return _recorded.TryPeek(out oldest);
        }
    }

    private void Retire((long Number, nint Event) oldest)
    {
        lock (_gate)
        {
            _recorded.Dequeue();
        }

        Volatile.Write(ref _completed, oldest.Number);
        GiveBackEvent(oldest.Event);
    }

    private void Tell()
    {
        List<CudaFence>? done = null;
        Exception? failure;
        lock (_gate)
        {
            failure = _failure;
            for (var i = _awaited.Count - 1; i >= 0; i--)
            {
                if (failure is not null || _awaited[i].Number <= _completed)
                {
                    (done ??= []).Add(_awaited[i]);
                    _awaited.RemoveAt(i);
                }
            }
        }

        foreach (var fence in done ?? [])
        {
            if (fence.Number <= Volatile.Read(ref _completed))
            {
                fence.Completion!.TrySetResult();
            }
            else
            {
                fence.Completion!.TrySetException(failure!);
            }
        }
    }
}
