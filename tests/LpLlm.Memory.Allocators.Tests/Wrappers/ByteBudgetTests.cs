using LpLlm.Memory.Wrappers;

namespace LpLlm.Memory.Tests.Wrappers;

public class ByteBudgetTests
{
    private readonly ByteBudget _sut = new(100, watermark: null, changed: () => { }, yield: () => { });

    [Fact]
    public async Task Reserve_OnlyTentativeBytesInTheWay_IsGrantedWhenTheyAreCancelled()
    {
        _sut.Reserve(60).Should().BeTrue();
        var undecided = Task.Run(() => _sut.Reserve(50));
        await TestTimeouts.UntilAsync(() => _sut.HasUndecided);

        _sut.TryReserve(1).Should().BeFalse("nobody passes one who waits for an outcome");
        _sut.Reserve(101).Should().BeFalse("that fits at no outcome");
        _sut.Cancel(60);

        (await undecided.DefaultTimeout()).Should().BeTrue();
        _sut.HasUndecided.Should().BeFalse();
        _sut.TryReserve(50).Should().BeTrue();
        _sut.TryReserve(1).Should().BeFalse();
    }

    [Fact]
    public async Task Reserve_TentativeBytesInTheWayAreCommitted_IsRefused()
    {
        _sut.Reserve(60).Should().BeTrue();
        var undecided = Task.Run(() => _sut.Reserve(50));
        await TestTimeouts.UntilAsync(() => _sut.HasUndecided);

        _sut.Commit(60);

        (await undecided.DefaultTimeout()).Should().BeFalse();
        _sut.Read().Should().Be((60L, 0L, 60L));
    }
}
