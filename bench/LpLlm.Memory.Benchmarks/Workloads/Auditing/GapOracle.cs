namespace LpLlm.Memory.Benchmarks.Workloads.Auditing;

/// <summary>
/// The free gaps of a range, kept by what was handed out and nothing else. Two ordered sets, not the TestKit's scans: with half a million live
/// blocks a scan at each of a million allocations would take days.
/// </summary>
internal sealed class GapOracle
{
    private readonly SortedSet<(long Start, long Length)> _byStart = [];
    private readonly SortedSet<(long Length, long Start)> _byLength = [];

    public GapOracle(long capacityBytes) => AddGap(0, capacityBytes);

    public long LargestGapBytes => _byLength.Max.Length;

    /// <exception cref="InvalidOperationException">Somebody has some of it already: the allocator is wrong.</exception>
    public void Take(long offset, long length)
    {
        var (start, gapLength) = _byStart.GetViewBetween((long.MinValue, 0), (offset, long.MaxValue)).Max;
        var end = start + gapLength;
        if (start > offset || end < offset + length)
        {
            throw new InvalidOperationException(
                $"[{offset}, +{length}) was handed out, but is not free: the gap below it is [{start}, +{gapLength}).");
        }

        RemoveGap(start, gapLength);
        AddGap(start, offset - start);
        AddGap(offset + length, end - offset - length);
    }

    public void Return(long offset, long length)
    {
        var end = offset + length;
        var below = _byStart.GetViewBetween((long.MinValue, 0), (offset, 0)).Max;
        if (below.Length > 0 && below.Start + below.Length == offset)
        {
            RemoveGap(below.Start, below.Length);
            offset = below.Start;
        }

        var above = _byStart.GetViewBetween((end, 0), (end, long.MaxValue)).Min;
        if (above.Length > 0)
        {
            RemoveGap(above.Start, above.Length);
            end += above.Length;
        }

        AddGap(offset, end - offset);
    }

    private void AddGap(long start, long length)
    {
        if (length > 0)
        {
            _byStart.Add((start, length));
            _byLength.Add((length, start));
        }
    }

    private void RemoveGap(long start, long length)
    {
        _byStart.Remove((start, length));
        _byLength.Remove((length, start));
    }
}
