using FsCheck;
using FsCheck.Fluent;

namespace LpLlm.Memory.Tests.FixedBlock;

/// <summary>Random runs beside a plain list of what is held.</summary>
public class FixedBlockModelTests : FixedBlockFixture
{
    [Theory]
    [InlineData(3, 32)]
    [InlineData(40, 32)]
    [InlineData(40, 0)]
    public void RandomRun_AgreesWithASet(int blocks, int threadCacheBlocks)
    {
        var operations = Gen.Frequency(
            (8, Gen.Constant(1)), (2, Gen.Choose(2, blocks + 1)), (10, Gen.Choose(-1000, -1)), (1, Gen.Constant(0)));

        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(60),
            Prop.ForAll(Arb.From(operations.ArrayOf(400)), run => Run(blocks, threadCacheBlocks, run)));
    }

    /// <summary>Above 0: takes so many; 0: trims; below 0: gives one back.</summary>
    private void Run(int blocks, int threadCacheBlocks, int[] operations)
    {
        using var sut = CreateSut(blocks, threadCacheBlocks: threadCacheBlocks);
        var held = new List<PinnedLease>();
        long rents = 0, failed = 0;
        foreach (var operation in operations)
        {
            if (operation == 0)
            {
                var reserved = sut.GetSnapshot().ReservedBytes;
                sut.Trim().Should().Be(held.Count == 0 ? reserved : 0);
            }
            else if (operation < 0)
            {
                if (held.Count > 0)
                {
                    held[-operation % held.Count].Dispose();
                    held.RemoveAt(-operation % held.Count);
                }
            }
            else
            {
                var leases = new PinnedLease[operation];
                var rented = operation == 1 ? sut.TryRent(Block, out leases[0]!) : sut.TryRentBlocks(leases);
                rented.Should().Be(operation <= blocks - held.Count);
                held.AddRange(rented ? leases : []);
                rents += rented ? operation : 0;
                failed += rented ? 0 : 1;
                held.Select(lease => lease.Address).Should().OnlyHaveUniqueItems();
            }

            sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.UsedBytes == held.Count * Block && s.LiveLeases == held.Count
                && s.FreeBytes >= 0 && s.TotalRents == rents && s.FailedRents == failed
                && s.LargestFreeBytes == (held.Count < blocks ? Block : 0));
        }

        held.ForEach(lease => lease.Dispose());
    }
}
