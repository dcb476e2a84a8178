namespace LpLlm.Memory.Models;

/// <summary>
/// The threads that read from disk, shared by all loads. Each takes the next part of the load with the highest priority, of equal ones the
/// one that began first: no thread has a share of its own, so a slow one delays a part and not the load. Thread-safe.
/// </summary>
internal sealed class ReadPool : IDisposable
{
    private readonly object _gate = new(); // waited on, which a Lock cannot be; held for some 100 ns a part
    private readonly List<ReadJob> _jobs = [];
    private readonly Thread[] _threads;
    private bool _isDisposed;

    public ReadPool(int threadCount)
    {
        _threads = new Thread[threadCount];
        for (var i = 0; i < threadCount; i++)
        {
            _threads[i] = new Thread(Work, maxStackSize: 256 << 10) { IsBackground = true, Name = $"model-read-{i}" };
            _threads[i].Start();
        }
    }

    public Task RunAsync(ReadJob job)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            _jobs.Add(job);
            Monitor.PulseAll(_gate);
        }

        return job.Completion;
    }

    /// <summary>Takes no more parts of a job; it ends when the reads that run have ended.</summary>
    public void Stop(ReadJob job, Exception failure)
    {
        bool isOver;
        lock (_gate)
        {
            job.Stop(failure);
            isOver = job.IsOver;
            _jobs.Remove(job);
        }

        if (isOver)
        {
            job.Complete();
        }
    }

    /// <summary>Ends all jobs and waits for the reads that run.</summary>
    public void Dispose()
    {
        ReadJob[] jobs;
        lock (_gate)
        {
            _isDisposed = true;
            jobs = [.. _jobs];
            Monitor.PulseAll(_gate);
        }

        foreach (var job in jobs)
        {
            Stop(job, new ObjectDisposedException(nameof(ReadPool)));
        }

        foreach (var thread in _threads)
        {
            thread.Join();
        }
    }

    private void Work()
    {
        using var bounce = new BounceBuffer();
        while (Take() is { } work)
        {
            Exception? failure = null;
            try
            {
                work.Job.Read(work.Part, bounce);
            }
            catch (Exception e)
            {
                failure = e; // is the load's result
            }

            Return(work.Job, failure);
        }
    }

    private (ReadJob Job, ReadPart Part)? Take()
    {
        lock (_gate)
        {
            while (!_isDisposed)
            {
                // Loads at a time are few: a search costs less than an order that changes with the priorities.
                if (_jobs.MaxBy(job => job.Priority) is { } job)
                {
                    var part = job.Take();
                    if (!job.HasMore)
                    {
                        _jobs.Remove(job);
                    }

                    return (job, part);
                }

                Monitor.Wait(_gate);
            }

            return null;
        }
    }

    private void Return(ReadJob job, Exception? failure)
    {
        bool isOver;
        lock (_gate)
        {
            job.Return(failure);
            isOver = job.IsOver;
            if (!job.HasMore)
            {
                _jobs.Remove(job);
            }
        }

        if (isOver)
        {
            job.Complete();
        }
    }
}
