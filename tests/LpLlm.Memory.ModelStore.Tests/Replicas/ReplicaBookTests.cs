using LpLlm.Memory.TestKit;

namespace LpLlm.Memory.Models;

/// <summary>How long a copy can be asked after.</summary>
public class ReplicaBookTests
{
    private readonly ManualTimeProvider _time = new();
    private readonly ReplicaBook _sut;

    public ReplicaBookTests() => _sut = new ReplicaBook(_time);

    [Fact]
    public void ADuplicate_IsRefused_UnlessTheFirstFailed()
    {
        var first = _sut.Add("m", "r");
        var act = () => _sut.Add("m", "r");
        act.Should().Throw<InvalidOperationException>().WithMessage("*'r'*");
        _sut.Add("other", "r").Should().NotBeNull();

        _sut.End(first, new InvalidOperationException());
        _sut.Add("m", "r").Should().NotBeSameAs(first);
    }

    [Fact]
    public void U8_WhatEnded_IsForgottenAfterAWhile_AndNothingElseIs()
    {
        var running = _sut.Add("m", "running");
        _sut.End(_sut.Add("m", "ended"), failure: null);
        _time.Advance(ReplicaBook.Memory);
        _sut.Find("m", "ended").Should().NotBeNull();

        _time.Advance(TimeSpan.FromMilliseconds(1));
        _sut.Find("m", "ended").Should().BeNull();
        _sut.Find("m", "running").Should().BeSameAs(running);
        _sut.Count.Should().Be(1);
    }

    [Fact]
    public void U8_CopiesWithoutEnd_DoNotFillTheBook()
    {
        for (var i = 0; i < ReplicaBook.MaxEnded + 100; i++)
        {
            _sut.End(_sut.Add("m", $"{i}"), failure: null);
        }

        _sut.Count.Should().Be(ReplicaBook.MaxEnded);
        _sut.Find("m", "99").Should().BeNull("the oldest go first");
        _sut.Find("m", "100").Should().NotBeNull();
    }

    [Fact]
    public void TooManyRun_AnotherOneIsRefused_UntilOneHasEnded()
    {
        var running = Enumerable.Range(0, ReplicaBook.MaxRunning).Select(i => _sut.Add("m", $"{i}")).ToList();

        var act = () => _sut.Add("m", "one more");

        act.Should().Throw<ModelStoreException>().WithMessage("*256 replicas*'one more'*").Which.IsTransient.Should().BeTrue();
        _sut.Find("m", "one more").Should().BeNull();
        _sut.End(running[7], failure: null);
        _sut.Add("m", "one more").Should().NotBeNull();
        act.Should().Throw<InvalidOperationException>("that name is taken now");
    }

    [Fact]
    public void AFailedCopysRecord_DoesNotTakeItsSuccessorWithIt()
    {
        _sut.End(_sut.Add("m", "r"), new InvalidOperationException());
        var second = _sut.Add("m", "r");
        _time.Advance(ReplicaBook.Memory * 2);

        _sut.Find("m", "r").Should().BeSameAs(second);
    }
}
