namespace LpLlm.Memory.TestKit;

/// <summary>The reference model: takes the first gap that fits. O(blocks) everywhere, and nothing to get wrong.</summary>
public sealed class FirstFitAllocator(long capacityBytes) : IBlockAllocator
{
    private const int UnitSize = 256;
    private static int s_lastId = 1 << 30;

    private readonly IntervalOracle _blocks = new(capacityBytes / UnitSize * UnitSize);
    private readonly Dictionary<int, BlockHandle> _live = [];
    private int _lastSlot;

    public int Id { get; } = Interlocked.Increment(ref s_lastId);

    public long CapacityBytes => _blocks.CapacityBytes;

    public int UnitBytes => UnitSize;

    public long UsedBytes => _blocks.UsedBytes;

    public int LiveBlocks => _live.Count;

    public long LargestFreeBytes => _blocks.LargestGap();

    public bool TryAllocate(long lengthBytes, int alignmentBytes, out BlockHandle block)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(alignmentBytes, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(alignmentBytes, 2 << 20);
        ArgumentOutOfRangeException.ThrowIfNotEqual(System.Numerics.BitOperations.IsPow2(alignmentBytes), true);
        block = default;
        if (lengthBytes > CapacityBytes)
        {
            return false;
        }

        var length = (lengthBytes + UnitSize - 1) / UnitSize * UnitSize;
        if (_blocks.FindGap(length, Math.Max(UnitSize, alignmentBytes)) is not { } offset)
        {
            return false;
        }

        block = new BlockHandle(offset, length, ++_lastSlot, 1, Id);
        _blocks.Add(offset, length);
        _live.Add(block.Slot, block);
        return true;
    }

    public void Free(in BlockHandle block)
    {
        if (block.AllocatorId != Id || !_live.TryGetValue(block.Slot, out var live) || live.Generation != block.Generation)
        {
            throw new InvalidOperationException($"Block {block} is not live here.");
        }

        _live.Remove(block.Slot);
        _blocks.Remove(live.OffsetBytes);
    }

    public IReadOnlyList<long> GetLargestLiveLengths(int most) =>
        [.. _live.Values.Select(block => block.LengthBytes).OrderDescending().Take(most)];

    public void Validate()
    {
        if (_live.Values.Sum(block => block.LengthBytes) != UsedBytes)
        {
            throw new InvalidOperationException("The accounts of the first-fit model disagree.");
        }
    }
}
