using System.Collections.Concurrent;
using LpLlm.Memory.Wrappers;

namespace LpLlm.Memory.Tests.Wrappers;

public class WatermarkTests
{
    private readonly ConcurrentQueue<WatermarkKind> _seen = new();
    private readonly CollectingLogger _logger = new();

    [Fact]
    public async Task Rent_AboveTheWatermarkAndBelowAgain_IsReportedOnceEach()
    {
        using var sut = Create(watermarkBytes: 60, e => _seen.Enqueue(e.Kind));
        var first = sut.Rent(60);
        _seen.Should().BeEmpty("60 B are not above 60 B");
        var second = sut.Rent(1);
        var third = sut.Rent(20);
        await TestTimeouts.UntilAsync(() => _seen.Count == 1);

        third.Dispose();
        first.Dispose();
        await TestTimeouts.UntilAsync(() => _seen.Count == 2);
        second.Dispose();

        _seen.Should().Equal(WatermarkKind.Risen, WatermarkKind.Fallen);
        _logger.Entries.Select(entry => entry.Id).Should().Equal(1040, 1041);
        _logger.Entries.First().Message.Should().Contain("more than 60 B").And.Contain("100 B");
    }

    [Fact]
    public async Task Rent_HoveringAroundTheWatermark_IsOneRiseUntilItFallsTo95Percent()
    {
        using var sut = Create(watermarkBytes: 60, e => _seen.Enqueue(e.Kind));
        var floor = sut.Rent(57);
        var above = sut.Rent(1);
        for (var i = 0; i < 100; i++)
        {
            sut.Rent(5).Dispose(); // 58 to 63 and back
        }

        await TestTimeouts.UntilAsync(() => !_seen.IsEmpty);
        _seen.Should().Equal(WatermarkKind.Risen);
        above.Dispose(); // 57 = 95 %
        await TestTimeouts.UntilAsync(() => _seen.Count == 2);

        _seen.Should().Equal(WatermarkKind.Risen, WatermarkKind.Fallen);
        floor.Dispose();
    }

    [Fact]
    public async Task ReturnAfter_BytesBehindAFence_KeepTheWatermarkRisen()
    {
        using var sut = Create(watermarkBytes: 50, e => _seen.Enqueue(e.Kind));
        var fence = new VirtualFence();
        sut.Rent(60).ReturnAfter(fence);
        await TestTimeouts.UntilAsync(() => _seen.Count == 1);

        sut.Rent(10).Dispose();
        _seen.Should().Equal(WatermarkKind.Risen);
        fence.Complete();

        await TestTimeouts.UntilAsync(() => _seen.Count == 2);
        _seen.Should().Equal(WatermarkKind.Risen, WatermarkKind.Fallen);
    }

    [Fact]
    public async Task ManyThreads_EveryCrossingIsReported_StrictlyInTurnAndOneAtATime()
    {
        var inside = 0;
        var overlapped = false;
        using var sut = Create(watermarkBytes: 50, e =>
        {
            overlapped |= Interlocked.Increment(ref inside) != 1;
            _seen.Enqueue(e.Kind);
            Interlocked.Decrement(ref inside);
        });

        // Nobody but the one with 60 B crosses on his own: so each of his rents is a rise, and each of his returns a fall.
        var crossing = Task.Run(() => RentAndReturn(sut, 60, 3000));
        var others = Enumerable.Range(0, 3).Select(_ => Task.Run(() => RentAndReturn(sut, 1, 3000)));
        await Task.WhenAll([crossing, .. others]).DefaultTimeout();
        await TestTimeouts.UntilAsync(() => _seen.Count >= 6000);

        _seen.Should().HaveCount(6000).And.Equal(
            Enumerable.Range(0, 6000).Select(i => i % 2 == 0 ? WatermarkKind.Risen : WatermarkKind.Fallen));
        overlapped.Should().BeFalse();
    }

    [Fact]
    public async Task OnWatermark_Throws_IsLoggedAndReportsGoOn()
    {
        using var sut = Create(watermarkBytes: 50, e =>
        {
            _seen.Enqueue(e.Kind);
            throw new InvalidOperationException("the host's own mistake");
        });

        sut.Rent(60).Dispose();
        sut.Rent(60).Dispose();
        await TestTimeouts.UntilAsync(() => _logger.Entries.Count(entry => entry.Id == 1042) == 4);

        _seen.Should().HaveCount(4);
    }

    [Fact]
    public async Task OnWatermark_RentsAndReturnsItself_GoesOn()
    {
        LimitedPool? sut = null;
        sut = Create(watermarkBytes: 50, e =>
        {
            _seen.Enqueue(e.Kind);
            if (_seen.Count == 1)
            {
                sut!.Rent(60).Dispose(); // crosses within the report
            }
        });

        sut.Rent(55).Dispose();
        await TestTimeouts.UntilAsync(() => _seen.Count == 4);

        sut.Dispose();
    }

    private static void RentAndReturn(LimitedPool pool, long lengthBytes, int times)
    {
        for (var i = 0; i < times; i++)
        {
            pool.Rent(lengthBytes).Dispose();
        }
    }

    private LimitedPool Create(long watermarkBytes, Action<WatermarkEvent> callback) => new(
        new FakePool(), new LimitOptions { LimitBytes = 100, WatermarkBytes = watermarkBytes, OnWatermark = callback }, _logger);
}
