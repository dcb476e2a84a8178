using FluentAssertions;
using Xunit;

namespace LpLlm.Memory.TestKit;

/// <summary>What a pool must do, beyond <see cref="PinnedPoolContract"/>, that serves blocks of any size from one range.</summary>
public abstract class AnySizePoolContract : PinnedPoolContract
{
    [Theory]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(65536)]
    [InlineData(2 << 20)]
    public void Rent_Alignment_IsKept(int alignmentBytes)
    {
        using var pool = Create(64);
        using var odd = pool.Rent(300);
        using var lease = pool.Rent(5000, alignmentBytes);

        (lease.Address % alignmentBytes).Should().Be(0);
    }

    [Fact]
    public void Rent_ExactlyTheCapacity_SucceedsAndRecovers()
    {
        using var pool = Create(16);
        var capacity = pool.GetSnapshot().CapacityBytes;
        for (var round = 0; round < 2; round++)
        {
            using var all = pool.Rent(capacity);

            pool.TryRent(1, out _).Should().BeFalse();
            pool.GetSnapshot().LargestFreeBytes.Should().Be(0);
        }
    }

    [Fact]
    public void Leases_HoldTheirBytesApart()
    {
        using var pool = Create(16);
        var leases = Enumerable.Range(0, 100).Select(i => pool.Rent(1 + (i * 331))).ToList();
        for (var i = 0; i < leases.Count; i++)
        {
            leases[i].AsSpan<byte>().Fill((byte)i);
        }

        for (var i = 0; i < leases.Count; i++)
        {
            leases[i].AsSpan<byte>().IndexOfAnyExcept((byte)i).Should().Be(-1);
            leases[i].Dispose();
        }

        pool.GetSnapshot().UsedBytes.Should().Be(0);
    }

    [Fact]
    public async Task ManyThreads_RentFillCheckReturn_NeverSeeEachOthersBytes()
    {
        using var pool = Create(32);
        var threads = Enumerable.Range(1, 4).Select(id => Task.Run(() =>
        {
            var random = new Random(id);
            var held = new Queue<(PinnedLease Lease, byte Mark)>();
            for (var i = 0; i < 3000; i++)
            {
                if (held.Count < 20 && pool.TryRent(random.Next(1, 100_000), out var lease, 1 << random.Next(0, 14)))
                {
                    var mark = (byte)(random.Next(1, 60) + (id * 60));
                    lease.AsSpan<byte>().Fill(mark);
                    held.Enqueue((lease, mark));
                }
                else if (held.TryDequeue(out var oldest))
                {
                    CheckAndReturn(oldest.Lease, oldest.Mark);
                }
            }

            while (held.TryDequeue(out var rest))
            {
                CheckAndReturn(rest.Lease, rest.Mark);
            }
        }));

        await Task.WhenAll(threads).DefaultTimeout();

        var snapshot = pool.GetSnapshot();
        snapshot.UsedBytes.Should().Be(0);
        snapshot.LiveLeases.Should().Be(0);
    }

    private static void CheckAndReturn(PinnedLease lease, byte mark)
    {
        lease.AsSpan<byte>().IndexOfAnyExcept(mark).Should().Be(-1);
        lease.Dispose();
    }
}
