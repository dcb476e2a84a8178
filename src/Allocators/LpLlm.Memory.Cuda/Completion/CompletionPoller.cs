using System.Collections.Concurrent;
using System.Diagnostics;

namespace LpLlm.Memory.Cuda;

/// <summary>
/// One thread that asks the driver about all streams on whose fences somebody waits. The thread pool is left alone, and the thread ends when
/// nobody has waited for a while.
/// </summary>
/// <param name="start">Starts the thread.</param>
internal sealed class CompletionPoller(Action<Thread> start)
{
    // A 64 KiB copy takes 10 us, 64 MiB 1.2 ms: spinning finds the small ones at once, yielding the usual ones; sleeping costs what is left 1 ms at most.
    private static readonly TimeSpan Spinning = TimeSpan.FromMicroseconds(200);

    // Each question holds up whoever enqueues: at one every 2 us, a thread of 4 KiB copies with a fence each made a third less of them than at 7 us.
    private static readonly TimeSpan BetweenQuestions = TimeSpan.FromMicroseconds(20);
    private static readonly TimeSpan Yielding = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(10);

    private readonly ConcurrentQueue<StreamFences> _added = new();
    private readonly object _wake = new();
    private int _isRunning;

    public void Watch(StreamFences fences)
    {
        _added.Enqueue(fences);
        if (Interlocked.Exchange(ref _isRunning, 1) == 0)
        {
            try
            {
                start(new Thread(Run) { IsBackground = true, Name = "CUDA completions" });
            }
            catch (OutOfMemoryException)
            {
                ThreadPool.UnsafeQueueUserWorkItem(_ => Run(), null); // the system gives no thread: one that is there must do
            }
        }
        else
        {
            lock (_wake)
            {
                Monitor.Pulse(_wake);
            }
        }
    }

    private void Run()
    {
        var watched = new List<StreamFences>();
        var lastProgress = Stopwatch.GetTimestamp();
        while (true)
        {
            while (_added.TryDequeue(out var added))
            {
                watched.Add(added);
                lastProgress = Stopwatch.GetTimestamp();
            }

            if (watched.Count == 0)
            {
                if (!WaitForNew(Idle) && HasEnded())
                {
                    return;
                }

                continue;
            }

            for (var i = watched.Count - 1; i >= 0; i--)
            {
                if (watched[i].Ask())
                {
                    lastProgress = Stopwatch.GetTimestamp();
                }

                if (watched[i].TryLeave())
                {
                    watched.RemoveAt(i);
                }
            }

            Pause(Stopwatch.GetElapsedTime(lastProgress));
        }
    }

    /// <summary>Whether this thread is to end: not if somebody came while it said so, and did not start another.</summary>
    private bool HasEnded()
    {
        Volatile.Write(ref _isRunning, 0);
        Interlocked.MemoryBarrier();
        return _added.IsEmpty || Interlocked.Exchange(ref _isRunning, 1) != 0;
    }

    private void Pause(TimeSpan sinceProgress)
    {
        if (sinceProgress < Spinning)
        {
            var started = Stopwatch.GetTimestamp();
            while (Stopwatch.GetElapsedTime(started) < BetweenQuestions)
            {
                Thread.SpinWait(10);
            }
        }
        else if (sinceProgress < Yielding)
        {
            Thread.Yield();
        }
        else
        {
            WaitForNew(TimeSpan.FromMilliseconds(1));
        }
    }

    /// <summary>Whether somebody came within the time.</summary>
    private bool WaitForNew(TimeSpan longest)
    {
        lock (_wake)
        {
            return !_added.IsEmpty || Monitor.Wait(_wake, longest);
        }
    }
}
