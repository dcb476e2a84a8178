using FluentAssertions;
using Xunit;

namespace LpLlm.Memory.TestKit;

/// <summary>
/// What a source that pins must do beyond <see cref="BackedMemorySourceContract"/>: nothing half pinned is ever handed out, kept or
/// unmapped. Create it so that it pins 2 MiB at a time, through the pinner given.
/// </summary>
public abstract class PinnedMemorySourceContract : BackedMemorySourceContract
{
    private const long PieceBytes = 2 * MiB;
    private const int Pieces = 4;

    // More than PageLocked, so that sources whose pages are locked by themselves ask it too.
    private readonly FakePinner _pinner = new() { Capabilities = PoolCapabilities.PageLocked | PoolCapabilities.DeviceVisible };

    protected sealed override IMemorySource Create() => Create(_pinner);

    protected abstract IMemorySource Create(IHostPinner pinner);

    [SkippableFact]
    public async Task S3_C3_WhatIsPinned_IsTheRegionItselfWholeAndOnce()
    {
        using var region = await ReserveAsync().DefaultTimeout();

        var end = region.Address;
        foreach (var (address, lengthBytes) in _pinner.Pinned.OrderBy(piece => piece.Key))
        {
            address.Should().Be(end, "pieces follow each other from the first byte on");
            end += (nint)lengthBytes;
        }

        end.Should().Be(region.Address + (nint)region.LengthBytes);
        _pinner.Pinned.Should().HaveCount(Pieces);
    }

    [SkippableTheory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(Pieces)]
    public async Task Reserve_AnyPinFails_ThrowsAndKeepsNothing(int failingPin)
    {
        _pinner.FailingPins.Add(failingPin);

        var error = (await FluentActions.Awaiting(ReserveAsync).Should().ThrowAsync<MemorySourceException>()).Which;

        error.Operation.Should().Be("fakelock");
        error.QuarantinedBytes.Should().Be(0);
        _pinner.Pinned.Should().BeEmpty();
    }

    [SkippableFact]
    public async Task Reserve_CancelledBetweenPieces_KeepsNothing()
    {
        using var cancellation = new CancellationTokenSource();
        var reports = 0;
        var stopAfterTwo = new Callback(() => (++reports == 2 ? cancellation : null)?.Cancel());

        var act = async () => await Create().ReserveAsync(Pieces * PieceBytes, stopAfterTwo, cancellation.Token).DefaultTimeout();

        await act.Should().ThrowAsync<OperationCanceledException>();
        reports.Should().Be(2);
        _pinner.Pinned.Should().BeEmpty();
    }

    [SkippableTheory]
    [InlineData(1)]
    [InlineData(Pieces)]
    public async Task Dispose_AnUnpinFails_ThrowsUnpinsTheOthersAndUnmapsNothing(int failingUnpin)
    {
        var region = await ReserveAsync().DefaultTimeout();
        _pinner.FailingUnpins.Add(failingUnpin);

        var error = region.Invoking(r => r.Dispose()).Should().Throw<MemorySourceException>().Which;

        error.QuarantinedBytes.Should().Be(region.LengthBytes);
        error.Message.Should().Contain("fakeunlock").And.Contain($"{region.LengthBytes} B").And.Contain("quarantined");
        var stuck = _pinner.Pinned.Should().ContainSingle("the other pieces were unpinned all the same").Which;
        (stuck.Key - region.Address).Should().Be((nint)((failingUnpin - 1) * PieceBytes));
        AsSpan(region).Fill(1); // a device that still writes must not fault
        region.Invoking(r => r.Dispose()).Should().NotThrow("the second time is a no-op");
    }

    [SkippableFact]
    public async Task Dispose_EveryUnpinFails_NamesThemAll()
    {
        var region = await ReserveAsync().DefaultTimeout();
        _pinner.FailingUnpins.UnionWith([1, 2, 3, 4]);

        var error = region.Invoking(r => r.Dispose()).Should().Throw<MemorySourceException>().Which;

        error.InnerException.Should().BeOfType<AggregateException>().Which.InnerExceptions.Should().HaveCount(Pieces);
        _pinner.Pinned.Should().HaveCount(Pieces);
    }

    [SkippableFact]
    public async Task Reserve_PinAndItsUndoingFail_ThrowsBothAndSaysWhatIsKept()
    {
        _pinner.FailingPins.Add(3);
        _pinner.FailingUnpins.Add(1);

        var error = (await FluentActions.Awaiting(ReserveAsync).Should().ThrowAsync<MemorySourceException>()).Which;

        error.QuarantinedBytes.Should().Be(Pieces * PieceBytes);
        error.InnerException.Should().BeOfType<AggregateException>().Which.InnerExceptions.Cast<MemorySourceException>()
            .Select(failure => failure.Operation).Should().Equal("fakelock", "fakeunlock");
        _pinner.Pinned.Should().ContainSingle();
    }

    [SkippableFact]
    public async Task Reserve_CancelledAndItsUndoingFails_IsNoPlainCancellation()
    {
        using var cancellation = new CancellationTokenSource();
        _pinner.FailingUnpins.Add(1);

        var act = async () => await Create()
            .ReserveAsync(Pieces * PieceBytes, new Callback(cancellation.Cancel), cancellation.Token).DefaultTimeout();

        var error = (await act.Should().ThrowAsync<MemorySourceException>()).Which;
        error.QuarantinedBytes.Should().Be(Pieces * PieceBytes);
        error.InnerException.Should().BeOfType<AggregateException>().Which.InnerExceptions[0].Should().BeAssignableTo<OperationCanceledException>();
    }

    private Task<MemoryRegion> ReserveAsync() => Create().ReserveAsync(Pieces * PieceBytes).AsTask();

    private sealed class Callback(Action call) : IProgress<long>
    {
        public void Report(long value) => call();
    }
}
