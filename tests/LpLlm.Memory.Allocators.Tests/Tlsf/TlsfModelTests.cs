using FsCheck;
using FsCheck.Fluent;
using LpLlm.Memory.Tlsf;

namespace LpLlm.Memory.Tests.Tlsf;

/// <summary>Random runs against the interval oracle: a million operations in all.</summary>
public class TlsfModelTests
{
    private const int OperationsPerRun = 2500;

    /// <summary>Sizes from one unit to a third of the range, and the near-equal ones that upset segregated fits.</summary>
    private static readonly Gen<long> Lengths = Gen.Frequency(
        (4, Gen.Choose(0, 21).SelectMany(log => Gen.Choose(0, 255).Select(part => (1L << log) + (((1L << log) * part) >> 8)))),
        (2, Gen.Choose(-2, 2).Select(delta => 65536L + (delta * 256))),
        (1, Gen.Choose(1, 64).Select(pages => pages * 4096L)),
        (1, Gen.Constant(600_000L)));

    private static readonly Gen<AllocatorOperation> Operations =
        from isFree in Gen.Frequency((10, Gen.Constant(true)), (11, Gen.Constant(false)))
        from length in Lengths
        from alignment in Gen.Frequency((6, Gen.Constant(1)), (2, Gen.Choose(0, 21).Select(shift => 1 << shift)))
        from victim in Gen.Choose(0, int.MaxValue - 1)
        select new AllocatorOperation(isFree, length, alignment, victim);

    [Theory]
    [InlineData(2 << 20)]
    [InlineData((6 << 20) + 256)]
    [InlineData(48 << 20)]
    [InlineData(256 * 1000)]
    public void RandomRun_AgreesWithTheIntervalOracle(long capacityBytes)
    {
        var runs = Arb.From(Operations.ArrayOf(OperationsPerRun), Halves);

        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(100),
            Prop.ForAll(runs, operations => Run(new TlsfAllocator(capacityBytes), operations)));
    }

    [Fact]
    public void RandomRun_FirstFitAgreesToo()
    {
        var runs = Arb.From(Operations.ArrayOf(500), Halves);

        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(20),
            Prop.ForAll(runs, operations => Run(new FirstFitAllocator(2 << 20), operations)));
    }

    private static void Run(IBlockAllocator allocator, AllocatorOperation[] operations)
    {
        var oracle = new IntervalOracle(allocator.CapacityBytes);
        var held = new List<BlockHandle>();
        for (var i = 0; i < operations.Length; i++)
        {
            Step(allocator, oracle, held, operations[i]);
            if (i % 250 == 0)
            {
                allocator.Validate();
                Require(allocator.LargestFreeBytes == oracle.LargestGap(), "the largest free block is not the oracle's");
            }
        }

        foreach (var block in held)
        {
            allocator.Free(block);
        }

        allocator.Validate();
        Require(allocator.LargestFreeBytes == allocator.CapacityBytes, "not everything coalesced");
        Require(allocator.TryAllocate(allocator.CapacityBytes, 1, out _), "the whole range cannot be taken again");
    }

    private static void Step(IBlockAllocator allocator, IntervalOracle oracle, List<BlockHandle> held, AllocatorOperation operation)
    {
        if (operation.IsFree && held.Count > 0)
        {
            var victim = operation.Victim % held.Count;
            allocator.Free(held[victim]);
            oracle.Remove(held[victim].OffsetBytes);
            held[victim] = held[^1];
            held.RemoveAt(held.Count - 1);
        }
        else if (allocator.TryAllocate(operation.LengthBytes, operation.AlignmentBytes, out var block))
        {
            Require(block.OffsetBytes % operation.AlignmentBytes == 0, "misaligned");
            Require(block.LengthBytes == (operation.LengthBytes + 255) / 256 * 256, "not the length asked for");
            oracle.Add(block.OffsetBytes, block.LengthBytes);
            held.Add(block);
        }
        else
        {
            var rounded = (operation.LengthBytes + 255) / 256 * 256;
            Require(oracle.FindGap(rounded, Math.Max(256, operation.AlignmentBytes)) is null, "failed while a gap fits");
        }

        Require(allocator.UsedBytes == oracle.UsedBytes && allocator.LiveBlocks == oracle.Count, "the accounts differ");
    }

    private static IEnumerable<AllocatorOperation[]> Halves(AllocatorOperation[] operations)
    {
        for (var size = operations.Length / 2; size > 0; size /= 2)
        {
            for (var start = 0; start < operations.Length; start += size)
            {
                yield return [.. operations[..start], .. operations[Math.Min(operations.Length, start + size)..]];
            }
        }
    }

    private static void Require(bool condition, string otherwise)
    {
        if (!condition)
        {
            throw new InvalidOperationException(otherwise);
        }
    }
}
