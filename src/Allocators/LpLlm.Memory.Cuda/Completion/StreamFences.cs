using System.Diagnostics;

namespace LpLlm.Memory.Cuda;

/// <summary>
/// The fences of one stream, which complete in order. Asking about a fence that has completed is a comparison of two numbers. An event costs as
/// much as a small copy, 2 to 3 us, so that several fences share one: it is recorded when somebody asks, or before more work comes than
/// a fence may be late by.
/// </summary>
/// <remarks>Thread-safe but for the owner's members; the driver is never called under the gate. After a failure no further fence completes, and all waits fail.</remarks>
internal sealed class StreamFences(CudaDevice device, StreamHandle stream)
{
    // What a fence may wait for beyond its own work: eight small copies take the device some 20 us.
    private const int MostLateCopies = 8;
    private const long MostLateBytes = 128 << 10;

    // Fences that nobody asks about would pile up events: asking at this many keeps them few.
    private const int ManyEvents = 64;

    // How old an answer of the driver may be that is given again. Whoever asks all the time holds up whoever enqueues.
    private static readonly long FreshTicks = Stopwatch.Frequency / 200_000; // 5 us

    // While the poller asks anyway, every 20 us; where it does so less often, those who want to know ask themselves.
    private static readonly long FreshWatchedTicks = Stopwatch.Frequency / 40_000; // 25 us

    private readonly Lock _gate = new();
    private readonly Queue<(long Number, nint Event)> _recorded = new();
    private readonly List<CudaFence> _awaited = [];
    private readonly EventCache _events = new(device.Runtime);
    private readonly CudaRuntime _runtime = device.Runtime;
    private long _lastNumber;
    private long _coveredNumber;
    private long _completed;
    private int _lateCopies;
    private long _lateBytes;
    private Exception? _failure;
    private long _lastAsked;
    private int _asking;
    private bool _isWatched;
    private bool _isClosed;

    public EventCache Events => _events;

    /// <summary>Makes a fence for what is enqueued so far. The owner's.</summary>
    public CudaFence Add()
    {
        if (Volatile.Read(ref _coveredNumber) == _lastNumber)
        {
            (_lateCopies, _lateBytes) = (0, 0);
        }

        var number = _lastNumber + 1;
        Volatile.Write(ref _lastNumber, number);
        return new CudaFence(this, number);
    }

    /// <summary>Called before work is enqueued, which fences without an event would have to wait for, too. The owner's; the context is current.</summary>
    /// <param name="lengthBytes">Of a copy; <see cref="long.MaxValue"/> for what takes unknown time.</param>
    public void BeforeWork(long lengthBytes)
    {
        if (Volatile.Read(ref _coveredNumber) >= _lastNumber)
        {
            return;
        }

        if (++_lateCopies > MostLateCopies || lengthBytes > MostLateBytes - _lateBytes)
        {
            _runtime.Check(Cover(out _), "cuEventRecord");
            (_lateCopies, _lateBytes) = (0, 0);
        }
        else
        {
            _lateBytes += lengthBytes;
        }
    }

    public bool HasCompleted(long number)
    {
        var freshTicks = Volatile.Read(ref _isWatched) ? FreshWatchedTicks : FreshTicks;
        if (number > Volatile.Read(ref _completed) && Stopwatch.GetTimestamp() - Volatile.Read(ref _lastAsked) > freshTicks)
        {
            CoverIfNeeded(number);
            Ask();
        }

        return number <= Volatile.Read(ref _completed);
    }

    public Task WhenCompleted(CudaFence fence)
    {
        CoverIfNeeded(fence.Number);
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
            mustWatch = BeginWatchUnsynchronized();
        }

        if (mustWatch)
        {
            _runtime.Poller.Watch(this);
        }

        return task;
    }

    /// <summary>An event that is recorded behind the fence.</summary>
    /// <exception cref="ObjectDisposedException">The stream is gone, and the fence's event with it.</exception>
    public nint EventOf(long number)
    {
        lock (_gate)
        {
            foreach (var (covered, each) in _recorded)
            {
                if (covered >= number)
                {
                    return each;
                }
            }
        }

        ObjectDisposedException.ThrowIf(!stream.TryEnter(), typeof(IDeviceStream));
        try
        {
            device.MakeCurrent();
            _runtime.Check(Cover(out var recorded), "cuEventRecord");
            return recorded;
        }
        finally
        {
            stream.Leave();
        }
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
        Volatile.Write(ref _lastAsked, Stopwatch.GetTimestamp());
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
                Fail(code, "cuEventQuery (work of the stream)");
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

    /// <summary>No fence that has not completed ever does.</summary>
    public void Fail(int code, string operation) =>
        Interlocked.CompareExchange(ref _failure, CudaError.ToException(_runtime.Driver, code, operation), null);

    /// <summary>The stream goes; its fences still complete, or fail, and its events follow them. The owner's.</summary>
    public void Close()
    {
        var code = device.TryMakeCurrent();
        if (code == CudaError.Success && Volatile.Read(ref _coveredNumber) < _lastNumber)
        {
            code = Cover(out _);
        }

        if (code != CudaError.Success)
        {
            Fail(code, "cuEventRecord");
        }

        stream.Leave();
        bool mustWatch;
        lock (_gate)
        {
            _isClosed = true;
            mustWatch = _recorded.Count > 0 && BeginWatchUnsynchronized();
        }

        _events.Close();
        if (mustWatch)
        {
            _runtime.Poller.Watch(this);
        }
    }

    /// <summary>For whoever asks: the fence's event is recorded now, if that has been left to now. Behind a closed stream it has not.</summary>
    private void CoverIfNeeded(long number)
    {
        if (Volatile.Read(ref _coveredNumber) >= number || !stream.TryEnter())
        {
            return;
        }

        try
        {
            var code = device.TryMakeCurrent();
            code = code == CudaError.Success ? Cover(out _) : code;
            if (code != CudaError.Success)
            {
                Fail(code, "cuEventRecord");
            }
        }
        finally
        {
            stream.Leave();
        }
    }

    /// <summary>Records an event behind all fences there are. Two threads may at once: then there are two events, of which each covers what it says.</summary>
    private int Cover(out nint recorded)
    {
        // Read first: what is numbered was enqueued before, so the event is behind it.
        var number = Volatile.Read(ref _lastNumber);
        var code = _events.TryTake(out recorded);
        if (code != CudaError.Success)
        {
            return code;
        }

        code = _runtime.Driver.RecordEvent(recorded, stream.Value);
        if (code != CudaError.Success)
        {
            _events.GiveBack(recorded);
            return code;
        }

        int count;
        bool mustWatch;
        lock (_gate)
        {
            _recorded.Enqueue((number, recorded));
            _coveredNumber = Math.Max(_coveredNumber, number);
            count = _recorded.Count;
            mustWatch = _isClosed && BeginWatchUnsynchronized(); // closed meanwhile: the event must follow the others
        }

        if (mustWatch)
        {
            _runtime.Poller.Watch(this);
        }
        else if (count >= ManyEvents)
        {
            Ask();
        }

        return CudaError.Success;
    }

    /// <returns>Whether the caller is to have it watched.</returns>
    private bool BeginWatchUnsynchronized()
    {
        var mustWatch = !_isWatched;
        _isWatched = true;
        return mustWatch;
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
        // First: whoever does not find the event any more finds its fences completed.
        Volatile.Write(ref _completed, Math.Max(_completed, oldest.Number));
        lock (_gate)
        {
            _recorded.Dequeue();
        }

        _events.GiveBack(oldest.Event);
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
