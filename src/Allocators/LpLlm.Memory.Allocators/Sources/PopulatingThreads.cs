namespace LpLlm.Memory.Sources;

/// <summary>The threads that populate mappings, step by step in turn. The thread pool is left to the program, which may wait for seconds here.</summary>
/// <remarks>
/// Threads are kept for a while, and all start before the mapping is theirs: a new one maps its stack, for which the kernel waits until nobody populates.
/// Sixteen that began one by one took 2.3 s for 16 GiB instead of 0.4. Thread-safe.
/// </remarks>
internal sealed class PopulatingThreads
{
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(1);

    private readonly object _gate = new();
    private readonly List<PagePopulator> _work = [];
    private int _threads;
    private bool _isStarting;
    private int _turn;

    public static PopulatingThreads Shared { get; } = new();

    /// <summary>Has a mapping populated, if need be by fewer threads than are wanted.</summary>
    /// <exception cref="OutOfMemoryException">The system gives no thread at all.</exception>
    public void Add(PagePopulator work, int threads)
    {
        var missing = Announce(threads);
        var started = 0;
        try
        {
            for (; started < missing; started++)
            {
                new Thread(Run, maxStackSize: 256 << 10) { IsBackground = true, Name = "populate" }.Start();
            }
        }
        catch (OutOfMemoryException) when (started > 0 || missing < threads)
        {
            // The system gives no more threads: those that are there do all.
        }
        finally
        {
            lock (_gate)
            {
                _isStarting = false;
                _threads += started;
                if (_threads > 0)
                {
                    _work.Add(work);
                }

                Monitor.PulseAll(_gate);
            }
        }
    }

    /// <summary>Waits until no thread is at work on the mapping: the length of a step, some milliseconds. None begins another one.</summary>
    public void Remove(PagePopulator work)
    {
        lock (_gate)
        {
            _work.Remove(work);
            while (work.Workers > 0)
            {
                Monitor.Wait(_gate);
            }
        }
    }

    /// <summary>From here on no thread ends, and nobody else starts any, until the work has come.</summary>
    /// <returns>How many threads are missing.</returns>
    private int Announce(int threads)
    {
        lock (_gate)
        {
            while (_isStarting)
            {
                Monitor.Wait(_gate); // some ms, until another's threads have started, which serve all
            }

            _isStarting = true;
            return threads - _threads;
        }
    }

    private void Run()
    {
        for (var next = Next(null); next is { } taken; next = Next(taken.Work))
        {
            taken.Work.Populate(taken.Step);
        }
    }

    /// <summary>A step of the mapping whose turn it is, or null when this thread is to end.</summary>
    private (PagePopulator Work, long Step)? Next(PagePopulator? done)
    {
        lock (_gate)
        {
            if (done is not null && --done.Workers == 0)
            {
                Monitor.PulseAll(_gate);
            }

            while (true)
            {
                while (_work.Count > 0)
                {
                    _turn = (_turn + 1) % _work.Count;
                    var work = _work[_turn];
                    if (work.TryTakeStep() is { } step)
                    {
                        work.Workers++;
                        return (work, step);
                    }

                    _work.RemoveAt(_turn);
                }

                if (!Monitor.Wait(_gate, Idle) && _work.Count == 0 && !_isStarting)
                {
                    _threads--;
                    return null;
                }
            }
        }
    }
}
