using FluentAssertions;
using Xunit;

namespace LpLlm.Memory.TestKit;

/// <summary>What every <see cref="IBlockAllocator"/> must do. Inherit it and say how to create one.</summary>
public abstract class BlockAllocatorContract
{
    private const long MiB = 1 << 20;

    protected abstract IBlockAllocator Create(long capacityBytes);

    [Fact]
    public void TryAllocate_WholeCapacity_Succeeds()
    {
        var sut = Create(3 * MiB);

        sut.TryAllocate(sut.CapacityBytes, 1, out var block).Should().BeTrue();

        block.OffsetBytes.Should().Be(0);
        sut.UsedBytes.Should().Be(sut.CapacityBytes);
        sut.LargestFreeBytes.Should().Be(0);
        sut.TryAllocate(1, 1, out _).Should().BeFalse();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(1L << 50)]
    [InlineData(long.MaxValue)]
    public void TryAllocate_MoreThanCapacity_IsFalseAndChangesNothing(long excess)
    {
        var sut = Create(MiB);

        sut.TryAllocate(excess == long.MaxValue ? excess : sut.CapacityBytes + excess, 1, out _).Should().BeFalse();

        sut.UsedBytes.Should().Be(0);
        sut.LiveBlocks.Should().Be(0);
        sut.LargestFreeBytes.Should().Be(sut.CapacityBytes);
        sut.Validate();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(long.MinValue)]
    public void TryAllocate_LengthBelowOne_Throws(long lengthBytes)
    {
        var act = () => Create(MiB).TryAllocate(lengthBytes, 1, out _);

        act.Should().Throw<ArgumentOutOfRangeException>();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-256)]
    [InlineData(3)]
    [InlineData(4 << 20)]
    [InlineData(int.MinValue)]
    public void TryAllocate_BadAlignment_Throws(int alignmentBytes)
    {
        var act = () => Create(MiB).TryAllocate(1, alignmentBytes, out _);

        act.Should().Throw<ArgumentOutOfRangeException>();
    }

    [Fact]
    public void TryAllocate_EveryAlignment_IsKept()
    {
        var sut = Create(64 * MiB);
        for (var alignment = 1; alignment <= 2 << 20; alignment *= 2)
        {
            sut.TryAllocate(300, alignment, out var block).Should().BeTrue();
            (block.OffsetBytes % alignment).Should().Be(0);
        }

        sut.Validate();
    }

    [Fact]
    public void TryAllocate_AlignedGapOfExactlyTheLength_IsFound()
    {
        var sut = Create(8 * MiB);
        sut.TryAllocate(2 * MiB, 1, out _).Should().BeTrue();
        sut.TryAllocate(2 * MiB, 1, out var hole).Should().BeTrue();
        sut.TryAllocate(4 * MiB, 1, out _).Should().BeTrue();
        sut.Free(hole);

        sut.TryAllocate(2 * MiB, 2 << 20, out var block).Should().BeTrue("the only gap starts on a 2 MiB boundary and has the length");

        block.OffsetBytes.Should().Be(hole.OffsetBytes);
        sut.Validate();
    }

    [Fact]
    public void Free_Twice_ThrowsAndChangesNothing()
    {
        var sut = Create(MiB);
        sut.TryAllocate(4096, 1, out var block);
        sut.TryAllocate(4096, 1, out var other);
        sut.Free(block);

        var act = () => sut.Free(block);

        act.Should().Throw<InvalidOperationException>();
        sut.UsedBytes.Should().Be(other.LengthBytes);
        sut.Validate();
    }

    [Fact]
    public void Free_StaleHandleWhoseSlotLivesAgain_Throws()
    {
        var sut = Create(MiB);
        sut.TryAllocate(4096, 1, out var stale);
        sut.Free(stale);
        sut.TryAllocate(4096, 1, out var current);

        var act = () => sut.Free(stale);

        act.Should().Throw<InvalidOperationException>();
        sut.Free(current);
        sut.UsedBytes.Should().Be(0);
    }

    [Fact]
    public void Free_HandleOfAnotherAllocator_Throws()
    {
        var sut = Create(MiB);
        var other = Create(MiB);
        sut.TryAllocate(4096, 1, out _);
        other.TryAllocate(4096, 1, out var foreign);

        var act = () => sut.Free(foreign);

        act.Should().Throw<InvalidOperationException>();
        sut.LiveBlocks.Should().Be(1);
    }

    [Fact]
    public void Free_MadeUpHandles_Throw()
    {
        var sut = Create(MiB);
        sut.TryAllocate(4096, 1, out var block);

        foreach (var slot in new[] { -1, int.MinValue, int.MaxValue, block.Slot + 1, block.Slot + 1000 })
        {
            var act = () => sut.Free(block with { Slot = slot });
            act.Should().Throw<InvalidOperationException>();
        }

        sut.Validate();
        sut.LiveBlocks.Should().Be(1);
    }

    [Fact]
    public void Free_AllInAnyOrder_CoalescesCompletely()
    {
        var random = new Random(7);
        var sut = Create(16 * MiB);
        for (var round = 0; round < 20; round++)
        {
            var blocks = new List<BlockHandle>();
            while (sut.TryAllocate(random.Next(1, 200_000), 1, out var block))
            {
                blocks.Add(block);
            }

            foreach (var block in blocks.OrderBy(_ => random.Next()))
            {
                sut.Free(block);
            }

            sut.Validate();
            sut.LargestFreeBytes.Should().Be(sut.CapacityBytes);
        }
    }

    [Fact]
    public void GetLargestLiveLengths_NamesTheLargestFirst()
    {
        var sut = Create(MiB);
        sut.TryAllocate(256, 1, out _);
        sut.TryAllocate(65536, 1, out _);
        sut.TryAllocate(4096, 1, out _);

        sut.GetLargestLiveLengths(2).Should().Equal(65536, 4096);
    }
}
