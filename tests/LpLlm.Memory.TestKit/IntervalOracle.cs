namespace LpLlm.Memory.TestKit;

/// <summary>The plainest account of who has what: live intervals in order. Every answer is a scan, so that it is obviously right.</summary>
public sealed class IntervalOracle(long capacityBytes)
{
    private readonly SortedList<long, long> _live = [];

    public long CapacityBytes => capacityBytes;

    public long UsedBytes { get; private set; }

    public int Count => _live.Count;

    /// <summary>Adds an interval; throws when it leaves the range or overlaps another.</summary>
    public void Add(long offset, long length)
    {
        if (offset < 0 || length <= 0 || offset > capacityBytes - length)
        {
            throw new InvalidOperationException($"[{offset}, +{length}) leaves [0, {capacityBytes}).");
        }

        foreach (var (other, otherLength) in Neighbours(offset))
        {
            if (offset < other + otherLength && other < offset + length)
            {
                throw new InvalidOperationException($"[{offset}, +{length}) overlaps [{other}, +{otherLength}).");
            }
        }

        _live.Add(offset, length);
        UsedBytes += length;
    }

    public void Remove(long offset)
    {
        UsedBytes -= _live[offset];
        _live.Remove(offset);
    }

    /// <summary>The first gap that holds an aligned block, or null.</summary>
    public long? FindGap(long length, long alignment)
    {
        foreach (var (start, end) in Gaps())
        {
            var aligned = (start + alignment - 1) / alignment * alignment;
            if (aligned + length <= end)
            {
                return aligned;
            }
        }

        return null;
    }

    public long LargestGap() => Gaps().Select(gap => gap.End - gap.Start).DefaultIfEmpty(0).Max();

    private IEnumerable<(long Start, long End)> Gaps()
    {
        long end = 0;
        foreach (var (offset, length) in _live)
        {
            if (offset > end)
            {
                yield return (end, offset);
            }

            end = offset + length;
        }

        if (end < capacityBytes)
        {
            yield return (end, capacityBytes);
        }
    }

    /// <summary>The intervals that start next to an offset: with no overlap so far, only they can overlap a new one.</summary>
    private IEnumerable<KeyValuePair<long, long>> Neighbours(long offset)
    {
        int low = 0, high = _live.Count;
        while (low < high)
        {
            var middle = (low + high) / 2;
            (low, high) = _live.GetKeyAtIndex(middle) < offset ? (middle + 1, high) : (low, middle);
        }

        for (var i = Math.Max(0, low - 1); i < Math.Min(_live.Count, low + 1); i++)
        {
            yield return new KeyValuePair<long, long>(_live.GetKeyAtIndex(i), _live.GetValueAtIndex(i));
        }
    }
}
