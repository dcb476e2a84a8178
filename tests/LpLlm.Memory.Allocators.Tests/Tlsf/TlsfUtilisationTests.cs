using LpLlm.Memory.Tlsf;

namespace LpLlm.Memory.Tests.Tlsf;

/// <summary>
/// Floors on utilisation: requested bytes held over capacity, averaged over the instants at which a request does not fit.
/// The workloads are Mooncake's allocator benchmark's; its own allocator reaches 0.67, 0.75 and 0.84 on them.
/// </summary>
public class TlsfUtilisationTests
{
    private const long GiB = 1L << 30;
    private readonly Random _random = new(42);

    [Fact]
    public void Uniform_TwoMebibytesAndABit_IsAtLeast99Percent() =>
        Fill(2 * GiB, () => (2 << 20) + 17, failures: 20_000).Should().BeGreaterThanOrEqualTo(0.99);

    [Fact]
    public void Random_1KiBTo64MiB_IsAtLeast86Percent() =>
        Fill(2 * GiB, () => _random.NextInt64(1 << 10, (64 << 20) + 1), failures: 20_000).Should().BeGreaterThanOrEqualTo(0.86);

    [Fact]
    public void KeyValueAndIndexerPair_With5PercentEviction_IsAtLeast99Percent()
    {
        var sut = new TlsfAllocator(64 * GiB);
        var held = new List<(BlockHandle Block, long Length)>();
        var sum = 0.0;
        var failures = 0;
        long used = 0;
        while (failures < 200)
        {
            var count = _random.Next(1, 129);
            foreach (var length in Enumerable.Repeat(3_274_752L, count).Concat(Enumerable.Repeat(658_432L, count)))
            {
                BlockHandle block;
                while (!sut.TryAllocate(length, 1, out block))
                {
                    sum += (double)used / sut.CapacityBytes;
                    failures++;
                    for (var evict = held.Count / 20; evict > 0; evict--)
                    {
                        used -= Evict(sut, held);
                    }
                }

                held.Add((block, length));
                used += length;
            }
        }

        (sum / failures).Should().BeGreaterThanOrEqualTo(0.99);
    }

    private double Fill(long capacityBytes, Func<long> nextLength, int failures)
    {
        var sut = new TlsfAllocator(capacityBytes);
        var held = new List<(BlockHandle Block, long Length)>();
        var sum = 0.0;
        long used = 0;
        for (var failed = 0; failed < failures;)
        {
            var length = nextLength();
            BlockHandle block;
            while (!sut.TryAllocate(length, 1, out block))
            {
                sum += (double)used / capacityBytes;
                failed++;
                used -= Evict(sut, held);
            }

            held.Add((block, length));
            used += length;
        }

        return sum / failures;
    }

    private long Evict(TlsfAllocator sut, List<(BlockHandle Block, long Length)> held)
    {
        var victim = _random.Next(held.Count);
        var (block, length) = held[victim];
        sut.Free(block);
        held[victim] = held[^1];
        held.RemoveAt(held.Count - 1);
        return length;
    }
}
