using LpLlm.Memory.Tlsf;

namespace LpLlm.Memory.Tests.Tlsf;

public class TlsfAllocatorTests
{
    private const long GiB = 1L << 30;

    [Fact]
    public void Create_OneTebibyte_GivesItOutWhole()
    {
        var sut = new TlsfAllocator(1024 * GiB);

        sut.TryAllocate(1024 * GiB, 1, out var all).Should().BeTrue();
        sut.Free(all);
        sut.TryAllocate(1024 * GiB - 256, 1, out var most).Should().BeTrue();
        sut.LargestFreeBytes.Should().Be(256);
        sut.TryAllocate(256, 1, out var last).Should().BeTrue();

        last.OffsetBytes.Should().Be(1024 * GiB - 256);
        sut.Free(most);
        sut.Validate();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(255)]
    [InlineData((1L << 40) + 1)]
    public void Create_CapacityOutOfRange_Throws(long capacityBytes)
    {
        var act = () => new TlsfAllocator(capacityBytes);

        act.Should().Throw<ArgumentOutOfRangeException>();
    }

    [Fact]
    public void TryAllocate_ManyEqualHoles_TakesOneAndMergesItBack()
    {
        var sut = new TlsfAllocator(GiB);
        var blocks = Enumerable.Range(0, 20_000).Select(_ => Take(sut, 4096)).ToList();
        for (var i = 0; i < blocks.Count; i += 2)
        {
            sut.Free(blocks[i]);
        }

        sut.Validate();
        var hole = Take(sut, 1024);

        hole.OffsetBytes.Should().BeLessThan(blocks[^1].OffsetBytes, "a hole is reused before untouched space is cut");
        sut.Free(hole);
        sut.Validate();
    }

    [Fact]
    public void TryAllocate_NearEqualSizesInOneBin_TakesTheTightest()
    {
        var sut = new TlsfAllocator(GiB);
        var holes = new List<BlockHandle>();
        for (var i = 0; i < 64; i++)
        {
            holes.Add(Take(sut, (1 << 20) + (((i * 37) % 64) * 256)));
            Take(sut, 256);
        }

        holes.ForEach(block => sut.Free(block));
        sut.Validate();

        for (var size = 0; size < 64; size++)
        {
            var block = Take(sut, (1 << 20) + (size * 256));
            holes.Should().ContainSingle(hole => hole.OffsetBytes == block.OffsetBytes && hole.LengthBytes == block.LengthBytes);
        }
    }

    [Fact]
    public void Metadata_GrowsPastAnyFixedMaximum()
    {
        var sut = new TlsfAllocator(GiB);

        var blocks = Enumerable.Range(0, 300_000).Select(_ => Take(sut, 256)).ToList();

        sut.LiveBlocks.Should().Be(300_000);
        blocks.ForEach(block => sut.Free(block));
        sut.Validate();
        sut.LargestFreeBytes.Should().Be(GiB);
    }

    private static BlockHandle Take(TlsfAllocator sut, long lengthBytes) =>
        sut.TryAllocate(lengthBytes, 1, out var block) ? block : throw new InvalidOperationException($"No room for {lengthBytes} B.");
}
