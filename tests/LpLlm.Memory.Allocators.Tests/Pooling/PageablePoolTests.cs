using LpLlm.Memory.Pooling;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Tests.Pooling;

/// <summary>Never silently pageable: without the option it is an error, with it lease, pool, snapshot and one warning say so.</summary>
public class PageablePoolTests
{
    private const long MiB = 1 << 20;

    private readonly CollectingLogger _logger = new();
    private readonly FakePinner _pinner = new();

    [Fact]
    public void Rent_LockingRefused_Throws()
    {
        _pinner.FailingPins.Add(1);
        using var sut = CreateSut(allowPageable: false);

        sut.Invoking(pool => pool.Rent(1000)).Should().Throw<PinnedMemoryExhaustedException>()
            .WithInnerException<MemorySourceException>().Which.Operation.Should().Be("fakelock");

        sut.GetSnapshot().ReservedBytes.Should().Be(0);
        _logger.Entries.Should().NotContain(entry => entry.Level == LogLevel.Warning);
    }

    [Fact]
    public void Rent_LockingRefusedOnceWithAllowPageable_SaysWhichMemoryItIs()
    {
        _pinner.FailingPins.UnionWith([1, 3]);
        using var sut = CreateSut(allowPageable: true);
        sut.Capabilities.Should().Be(PoolCapabilities.PageLocked);
        var pageable = sut.Rent(MiB);
        var locked = sut.Rent(MiB);
        var again = sut.Rent(MiB);

        pageable.Capabilities.Should().Be(PoolCapabilities.None);
        locked.Capabilities.Should().Be(PoolCapabilities.PageLocked);
        sut.Capabilities.Should().Be(PoolCapabilities.None, "not every lease is page-locked");
        sut.GetSnapshot().PageableBytes.Should().Be(2 * MiB);
        _logger.Entries.Where(entry => entry.Level == LogLevel.Warning).Should().ContainSingle();

        pageable.Dispose();
        sut.Trim();
        sut.GetSnapshot().PageableBytes.Should().Be(MiB);
        locked.Dispose();
        again.Dispose();
        sut.Trim();
        sut.GetSnapshot().PageableBytes.Should().Be(0);
    }

    private PinnedPool CreateSut(bool allowPageable) => PinnedPoolFactory.CreateLocal(
        "sut",
        new LocalPinnedPoolOptions { CapacityBytes = 4 * MiB, SlabBytes = MiB, AllowPageable = allowPageable },
        _logger,
        _pinner);
}
