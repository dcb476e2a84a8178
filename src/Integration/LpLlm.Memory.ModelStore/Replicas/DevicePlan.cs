namespace LpLlm.Memory.Models;

/// <summary>
/// What of a model goes where on one device. Ranges that follow each other on both sides are one: a client names every tensor, and copies of some
/// kilobytes would take 20 times as long as one of all (U10).
/// </summary>
internal sealed class DevicePlan
{
    private readonly CopyRange[] _ranges;

    // The furthest end of all ranges up to each: ranges may overlap, as those of tied tensors do.
    private readonly long[] _ends;

    public DevicePlan(IMemoryDevice device, IEnumerable<CopyRange> ranges)
    {
        Device = device;
        _ranges = Merge(ranges);
        _ends = new long[_ranges.Length];
        for (var i = 0; i < _ranges.Length; i++)
        {
            _ends[i] = Math.Max(i == 0 ? 0 : _ends[i - 1], _ranges[i].SourceEnd);
        }
    }

    public IMemoryDevice Device { get; }

    /// <summary>By their place in the model.</summary>
    public IReadOnlyList<CopyRange> Ranges => _ranges;

    /// <summary>End of the last byte that is copied.</summary>
    public long SourceEnd => _ends.Length == 0 ? 0 : _ends[^1];

    public long LengthBytes => _ranges.Sum(range => range.LengthBytes);

    /// <summary>The parts that lie within a piece of the model.</summary>
    public IEnumerable<CopyRange> Within(long offsetBytes, long lengthBytes)
    {
        var end = offsetBytes + lengthBytes;
        var first = Array.BinarySearch(_ends, offsetBytes + 1);
        for (var i = FirstOf(first); i < _ranges.Length && _ranges[i].SourceOffset < end; i++)
        {
            var range = _ranges[i];
            var from = Math.Max(range.SourceOffset, offsetBytes);
            var length = Math.Min(range.SourceEnd, end) - from;
            if (length > 0)
            {
                yield return new CopyRange(from, range.Target + (nint)(from - range.SourceOffset), length);
            }
        }
    }

    private static CopyRange[] Merge(IEnumerable<CopyRange> ranges)
    {
        var merged = new List<CopyRange>();
        foreach (var range in ranges.Where(range => range.LengthBytes > 0).OrderBy(range => range.SourceOffset).ThenBy(range => range.Target))
        {
            if (merged.Count > 0
                && merged[^1].SourceEnd == range.SourceOffset
                && merged[^1].Target + (nint)merged[^1].LengthBytes == range.Target)
            {
                merged[^1] = merged[^1] with { LengthBytes = merged[^1].LengthBytes + range.LengthBytes };
            }
            else
            {
                merged.Add(range);
            }
        }

        return [.. merged];
    }

    /// <summary>Ends do not decrease, but may be equal: the first of those.</summary>
    private int FirstOf(int found)
    {
        var first = found < 0 ? ~found : found;
        while (first > 0 && found >= 0 && _ends[first - 1] == _ends[found])
        {
            first--;
        }

        return first;
    }
}
