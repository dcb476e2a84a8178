using System.Collections.Concurrent;
using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Pooling;

/// <summary>
/// Blocks that were returned behind fences: one first-in-first-out queue per stream, retired from its head. A fence that never
/// completes holds back what is behind it on its own stream, and nothing else.
/// </summary>
/// <remarks>
/// Thread-safe. No fence is queried, and neither delegate is called, under a lock. While a queue has entries, one task waits for its
/// head, so that blocks come back without anybody asking; <see cref="Sweep"/> takes back at once what has completed.
/// Fences of the same key are assumed to complete in order, but each is checked: a device that breaks the order costs time, not memory.
/// </remarks>
/// <param name="retire">Gets each item whose fence has completed.</param>
/// <param name="strand">Gets each item whose fence has failed: it may never be used again.</param>
internal sealed class FencedReturns<T>(Action<T> retire, Action<T, Exception> strand)
{
    private readonly ConditionalWeakTable<object, Stream> _streams = [];
    private readonly ConcurrentDictionary<Stream, bool> _active = new();

    public void Add(T item, IFence fence)
    {
        var stream = fence.StreamKey is { } key ? _streams.GetValue(key, static _ => new Stream()) : new Stream();
        bool idle;
        lock (stream.Gate)
        {
            stream.Entries.Enqueue(new Entry(item, fence, stream.NextNumber++));
            idle = !stream.IsWatched;
            if (idle)
            {
                stream.IsWatched = true;
                _active.TryAdd(stream, true);
            }
        }

        if (idle)
        {
            _ = WatchAsync(stream);
        }
    }

    /// <summary>Whether a fence has completed. One that fails instead of answering has not: its own wait tells why.</summary>
    public static bool HasCompleted(IFence fence)
    {
        try
        {
            return fence.IsCompleted;
        }
        catch (Exception) // a device in a sticky error; the watcher gets it from WaitAsync, and strands the block
        {
            return false;
        }
    }

    /// <summary>Retires what has completed; does not wait.</summary>
    public void Sweep()
    {
        foreach (var stream in _active)
        {
            RetireCompleted(stream.Key);
        }
    }

    private async Task WatchAsync(Stream stream)
    {
        while (PeekOrStop(stream) is { } head)
        {
            try
            {
                await head.Fence.WaitAsync().ConfigureAwait(false);
            }
            catch (Exception failure) // whatever a device reports
            {
                if (TryDequeue(stream, head))
                {
                    strand(head.Item, failure);
                }

                continue;
            }

            if (TryDequeue(stream, head))
            {
                retire(head.Item);
            }

            RetireCompleted(stream);
        }
    }

    private void RetireCompleted(Stream stream)
    {
        while (Peek(stream) is { } head && HasCompleted(head.Fence))
        {
            if (TryDequeue(stream, head))
            {
                retire(head.Item);
            }
        }
    }

    private static Entry? Peek(Stream stream)
    {
        lock (stream.Gate)
        {
            return stream.Entries.TryPeek(out var head) ? head : null;
        }
    }

    /// <summary>The head, or null when the queue is empty: then the next entry starts a new watcher.</summary>
    private Entry? PeekOrStop(Stream stream)
    {
        lock (stream.Gate)
        {
            if (stream.Entries.TryPeek(out var head))
            {
                return head;
            }

            stream.IsWatched = false;
            _active.TryRemove(stream, out _);
            return null;
        }
    }

    /// <summary>Whether the entry was still the head: of several threads that saw it complete, one gets it.</summary>
    private static bool TryDequeue(Stream stream, in Entry head)
    {
        lock (stream.Gate)
        {
            return stream.Entries.TryPeek(out var now) && now.Number == head.Number && stream.Entries.TryDequeue(out _);
        }
    }

    private readonly record struct Entry(T Item, IFence Fence, long Number);

    private sealed class Stream
    {
        public Lock Gate { get; } = new();

        public Queue<Entry> Entries { get; } = new();

        public long NextNumber { get; set; }

        public bool IsWatched { get; set; }
    }
}
