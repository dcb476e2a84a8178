using LpLlm.Memory.Server;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Tests.Server;

/// <summary>What a server pool does that others do not: it gives idle memory back.</summary>
public sealed class ServerPoolTests : IDisposable
{
    private const long MiB = 1 << 20;

    private readonly PoolHosts _hosts = new();

    public void Dispose() => _hosts.Dispose();

    [Fact]
    public async Task Rent_ServerHasNoRoom_AsksIdlePoolsToGiveBackFirst()
    {
        var provider = Build(("idle", 16 * MiB, Timeout.InfiniteTimeSpan), ("hungry", 16 * MiB, Timeout.InfiniteTimeSpan));
        var idle = provider.GetRequiredKeyedService<IPinnedMemoryPool>("idle");
        var hungry = provider.GetRequiredKeyedService<IPinnedMemoryPool>("hungry");
        idle.Rent(4 * MiB).Dispose();
        RentAll(idle);
        idle.GetSnapshot().ReservedBytes.Should().Be(16 * MiB);

        var leases = await Task.Run(() => Enumerable.Range(0, 4).Select(_ => hungry.Rent(4 * MiB)).ToList()).DefaultTimeout();

        hungry.GetSnapshot().ReservedBytes.Should().Be(16 * MiB);
        idle.GetSnapshot().ReservedBytes.Should().BeLessThanOrEqualTo(8 * MiB, "the server has 24 MiB");
        leases.ForEach(lease => lease.Dispose());
    }

    [Theory]
    [InlineData(16, 4, 1, 12)]
    [InlineData(16, 4, 4, 12)]
    [InlineData(16, 4, 5, 8)]
    [InlineData(16, 4, 17, 0)]
    [InlineData(16, 4, long.MaxValue / MiB, 0)]
    [InlineData(0, 4, 1, 0)]
    public void Balloon_LessThanASlabIsWanted_AWholeSlabIsGiven(long reserved, long slab, long wanted, long kept) =>
        ServerPool.Kept(reserved * MiB, wanted * MiB, slab * MiB).Should().Be(kept * MiB);

    [Fact]
    public async Task Row13_RevokedWhileInUse_IsGivenBackWhenItIsIdleAtLast()
    {
        var provider = Build(("kv", 16 * MiB, Timeout.InfiniteTimeSpan));
        var pool = provider.GetRequiredKeyedService<IPinnedMemoryPool>("kv");
        var lease = pool.Rent(4 * MiB);
        pool.Rent(4 * MiB).Dispose();
        var engine = provider.GetRequiredService<PoolServer>().Engine!;
        var revoked = engine.List().Single().Id;
        engine.Revoke(revoked, "maintenance");
        await TestTimeouts.UntilAsync(() => pool.GetSnapshot().ReservedBytes == 4 * MiB);

        lease.Dispose(); // nobody asks again: the pool has to remember

        await TestTimeouts.UntilAsync(() => engine.List().All(other => other.Id != revoked));
    }

    [Fact]
    public async Task IdleTrim_NothingRentedForTwoPeriods_KeepsInitialBytesOnly()
    {
        var provider = Build(("kv", 16 * MiB, TimeSpan.FromMilliseconds(20)));
        var pool = provider.GetRequiredKeyedService<IPinnedMemoryPool>("kv");
        RentAll(pool);

        await TestTimeouts.UntilAsync(() => pool.GetSnapshot().ReservedBytes == 4 * MiB);

        var engine = provider.GetRequiredService<PoolServer>().Engine!;
        await TestTimeouts.UntilAsync(() => engine.GetStatistics().LeasedBytes == 4 * MiB);
        using var lease = pool.Rent(4 * MiB);
        using var another = pool.Rent(4 * MiB);
        pool.GetSnapshot().ReservedBytes.Should().Be(8 * MiB, "it grows again");
    }

    [Fact]
    public void IdleTrim_Looks_OnlyAtRestAndOnlyAboveWhatIsKept()
    {
        var time = new ManualTimeProvider();
        var snapshot = new PoolSnapshot();
        var trims = 0;
        var period = TimeSpan.FromSeconds(30);
        using (new IdleTrim(() => snapshot, keepBytes: 4 * MiB, period, () => trims++, time))
        {
            void Look(long reserved, long rents, long used)
            {
                snapshot = new PoolSnapshot { ReservedBytes = reserved, TotalRents = rents, UsedBytes = used };
                time.Advance(period);
            }

            Look(8 * MiB, 5, 0);
            trims.Should().Be(0, "one look does not tell whether anything happened");
            Look(8 * MiB, 6, 0);
            trims.Should().Be(0, "something was rented");
            Look(8 * MiB, 6, 100);
            trims.Should().Be(0, "something was returned");
            Look(8 * MiB, 6, 100);
            trims.Should().Be(1);
            Look(4 * MiB, 6, 100);
            trims.Should().Be(1, "there is no more than it keeps");
        }

        time.ActiveTimers.Should().Be(0);
    }

    [Fact]
    public void C7_Tensors_TakeTheBytesOfTheirOwnElements()
    {
        var pool = _hosts.CreatePool(4 * MiB, "embedded");

        using var tensor = pool.RentTensor<float>([64, 1024]);

        tensor.AsSpan().Fill(1.5f);
        pool.GetSnapshot().UsedBytes.Should().Be(64 * 1024 * sizeof(float));
    }

    [Fact]
    public void C5_C6_Views_FreeNothingAndTheSnapshotCounts()
    {
        var pool = _hosts.CreatePool(4 * MiB, "embedded");
        var tensor = pool.RentTensor<float>([64, 1024]);

        var view = tensor.Reshape([1024, 64]);

        pool.GetSnapshot().LiveLeases.Should().Be(1);
        pool.GetSnapshot().UsedBytes.Should().BePositive();
        view.Dispose();
        tensor.Dispose();
        pool.GetSnapshot().Should().Match<PoolSnapshot>(snapshot => snapshot.LiveLeases == 0 && snapshot.UsedBytes == 0);
    }

    [Theory]
    [InlineData(64)]
    [InlineData(4096)]
    [InlineData(2 << 20)]
    public void C8_Alignment_IsWhatWasAskedFor(int alignmentBytes)
    {
        var pool = _hosts.CreatePool(8 * MiB, "embedded");
        using var odd = pool.Rent(300);
        using var lease = pool.Rent(5000, alignmentBytes);

        (lease.Address % alignmentBytes).Should().Be(0);
    }

    [Fact]
    public void C10_Sizes_AreBytesAndTensorsCopy()
    {
        var pool = _hosts.CreatePool(4 * MiB, "embedded");
        using var from = pool.RentTensor<float>([4]);
        using var to = pool.RentTensor<float>([4]);
        from.AsSpan().Fill(2);

        to.CopyFrom(from.AsSpan());

        to.AsSpan().ToArray().Should().AllBeEquivalentTo(2f);
        pool.GetSnapshot().CapacityBytes.Should().Be(4 * MiB);
    }

    private static void RentAll(IPinnedMemoryPool pool)
    {
        var leases = new List<PinnedLease>();
        while (pool.TryRent(4 * MiB, out var lease))
        {
            leases.Add(lease);
        }

        leases.ForEach(lease => lease.Dispose());
    }

    /// <summary>A server of 24 MiB, and pools that grow by 4 MiB.</summary>
    private ServiceProvider Build(params (string Name, long CapacityBytes, TimeSpan IdleTrimAfter)[] pools) => _hosts.Build(services =>
    {
        services.AddPoolServer(o =>
        {
            (o.CapacityBytes, o.SegmentBytes, o.QuarantineTime) = (24 * MiB, 4 * MiB, TimeSpan.Zero);
            o.EndPoints.Add("embedded");
        });
        foreach (var (name, capacityBytes, idleTrimAfter) in pools)
        {
            services.AddServerPinnedPool(name, o =>
                (o.EndPoint, o.CapacityBytes, o.SlabBytes, o.ThreadCacheBytes, o.IdleTrimAfter) =
                    ("embedded", capacityBytes, 4 * MiB, 0, idleTrimAfter));
        }
    });
}
