namespace LpLlm.Memory.Server;

/// <summary>What the devices' driver knows of a segment; the pinner only keeps books, so that there is no memory behind the addresses.</summary>
public sealed class SegmentDeviceRegistrationTests
{
    private const nint Address = 1 << 30;
    private const long GiB = 1L << 30;

    private readonly FakePinner _driver = new();
    private readonly DeviceRegistration _sut;

    public SegmentDeviceRegistrationTests() => _sut = new DeviceRegistration(() => _driver, Address, 3 * GiB);

    [Fact]
    public async Task EnsureAsync_TheLastPieceIsRefused_TheNextCallRegistersWhatIsMissing()
    {
        _driver.FailingPins.Add(3);
        await FluentActions.Awaiting(() => _sut.EnsureAsync().DefaultTimeout()).Should().ThrowAsync<MemorySourceException>();

        await _sut.EnsureAsync().DefaultTimeout();

        _driver.Pinned.Should().HaveCount(3);
        _sut.Undo();
        _driver.Pinned.Should().BeEmpty();
    }

    [Fact]
    public async Task Undo_AfterARefusal_ThrowsAsLongAsAPieceIsRegistered()
    {
        _driver.FailingPins.Add(3);
        _driver.FailingUnpins.Add(1);
        await FluentActions.Awaiting(() => _sut.EnsureAsync().DefaultTimeout()).Should().ThrowAsync<MemorySourceException>().WithMessage("*fakelock*");

        _sut.Invoking(each => each.Undo()).Should().Throw<MemorySourceException>("unmapping what a device may write to would be worse");

        _sut.Undo();
        _driver.Pinned.Should().BeEmpty();
    }
}
