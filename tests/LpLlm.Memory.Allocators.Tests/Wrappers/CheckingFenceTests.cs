using LpLlm.Memory.Wrappers.Leaks;

namespace LpLlm.Memory.Tests.Wrappers;

public sealed class CheckingFenceTests : IDisposable
{
    private readonly VirtualFence _device = new();
    private readonly ManualResetEventSlim _checking = new();
    private readonly ManualResetEventSlim _letGo = new();
    private int _checks;

    public void Dispose()
    {
        _checking.Dispose();
        _letGo.Dispose();
    }

    [Fact]
    public async Task IsCompleted_AnotherThreadChecks_AnswersFalseAtOnce()
    {
        var sut = new CheckingFence(_device, CheckSlowly);
        sut.IsCompleted.Should().BeFalse();
        _device.Complete();
        var first = Task.Run(() => sut.IsCompleted);
        _checking.Wait(TimeSpan.FromSeconds(30)).Should().BeTrue();

        (await Task.Run(() => sut.IsCompleted).DefaultTimeout()).Should().BeFalse("the block is not checked yet");
        var waiting = Task.Run(async () => await sut.WaitAsync());
        waiting.IsCompleted.Should().BeFalse();
        using var cancellation = new CancellationTokenSource();
        var canceled = sut.WaitAsync(cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await canceled.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        _letGo.Set();

        (await first.DefaultTimeout()).Should().BeTrue();
        await waiting.DefaultTimeout();
        sut.IsCompleted.Should().BeTrue();
        _checks.Should().Be(1);
    }

    [Fact]
    public async Task WaitAsync_CheckFails_FailsForAll()
    {
        var sut = new CheckingFence(_device, () => throw new InvalidOperationException("the guard is gone"));
        _device.Complete();

        sut.IsCompleted.Should().BeFalse();

        await sut.Awaiting(fence => fence.WaitAsync().AsTask().DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>();
        sut.IsCompleted.Should().BeFalse("what was not checked is not given on");
    }

    private void CheckSlowly()
    {
        Interlocked.Increment(ref _checks);
        _checking.Set();
        _letGo.Wait(TimeSpan.FromSeconds(30)).Should().BeTrue();
    }
}
