using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Server;

namespace LpLlm.Memory.Tests.Server;

public class PeerBudgetTests
{
    private readonly PeerBudget _sut = new(100);
    private readonly List<string> _dropped = [];

    [Fact]
    public void TryTake_AloneMayHaveAll_AndNoMore()
    {
        using var share = Join(user: 1, process: 1);

        share.TryTake(60).Should().BeTrue();
        share.TryTake(40).Should().BeTrue();
        share.TryTake(1).Should().BeFalse();
        share.Return(1);
        share.TryTake(1).Should().BeTrue();

        _dropped.Should().BeEmpty();
    }

    [Fact]
    public void TryTake_TwoHoldAll_AThirdGetsItsPartOfTheLargest()
    {
        using var first = Join(user: 1, process: 1);
        using var second = Join(user: 1, process: 2);
        using var third = Join(user: 1, process: 3);
        first.TryTake(49).Should().BeTrue();
        second.TryTake(51).Should().BeTrue();

        third.TryTake(30).Should().BeTrue();

        _dropped.Should().Equal("1/2");
        second.TryTake(1).Should().BeFalse("it is on its way out");
        second.Return(51);
        third.TryTake(21).Should().BeTrue("what was dropped counts as given back once");
        third.TryTake(1).Should().BeFalse("now it is the largest itself");
        _dropped.Should().HaveCount(1);
    }

    [Fact]
    public void TryTake_ConnectionsOfOneProcess_CountAndGoTogether()
    {
        using var first = Join(user: 1, process: 1);
        using var again = Join(user: 1, process: 1);
        using var other = Join(user: 1, process: 2);
        first.TryTake(30).Should().BeTrue();
        again.TryTake(30).Should().BeTrue();
        other.TryTake(40).Should().BeTrue();

        other.TryTake(10).Should().BeTrue("50 are less than the 60 of the other process");

        _dropped.Should().Equal("1/1", "1/1");
    }

    [Fact]
    public void TryTake_ManyProcessesOfOneUser_DoNotKeepAnotherUserOut()
    {
        var crowd = Enumerable.Range(1, 10).Select(process => Join(user: 1, process)).ToList();
        crowd.ForEach(share => share.TryTake(10).Should().BeTrue());
        using var other = Join(user: 2, process: 99);

        other.TryTake(45).Should().BeTrue();

        _dropped.Should().HaveCount(5).And.OnlyContain(who => who.StartsWith("1/", StringComparison.Ordinal));
    }

    [Fact]
    public void TryTake_ClientsWhoseProcessIsNotKnown_AreEachTheirOwn()
    {
        using var first = Join(user: null, process: null);
        using var second = Join(user: null, process: null);
        first.TryTake(80).Should().BeTrue();

        second.TryTake(40).Should().BeTrue();

        _dropped.Should().Equal("/");
    }

    [Fact]
    public void Dispose_GivesBackWhatIsLeft()
    {
        var first = Join(user: 1, process: 1);
        first.TryTake(100).Should().BeTrue();
        first.Return(10);
        first.Dispose();
        first.Return(10);
        using var second = Join(user: 1, process: 2);

        second.TryTake(100).Should().BeTrue();

        _dropped.Should().BeEmpty();
    }

    /// <summary>Whatever happens: never more than all, and nobody is refused or dropped who has less than another.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void TryTake_Random_KeepsTheBoundAndIsFair(int seed)
    {
        var random = new Random(seed);
        var shares = new List<PeerShare>();
        var gone = new HashSet<PeerShare>();
        for (var i = 0; i < 20_000; i++)
        {
            if (shares.Count < 12)
            {
                PeerShare? made = null;
                made = _sut.Join(Peer((uint)random.Next(1, 4), random.Next(1, 9)), _ => gone.Add(made!));
                shares.Add(made);
            }

            var share = shares[random.Next(shares.Count)];
            var before = shares.ToDictionary(one => one, UserHeld);
            var amount = random.Next(1, 40);
            if (random.Next(3) == 0)
            {
                share.Return(random.Next(0, (int)share.Held + 1));
            }
            else if (!share.TryTake(amount))
            {
                gone.Should().BeEmpty("nobody is dropped for nothing");
                (3 * (before[share] + amount)).Should().BeGreaterThan(100, "of three users only the one with most is refused");
            }
            else
            {
                gone.Should().NotContain(one => before[one] < before[share], "the user with most pays");
            }

            shares.Sum(one => one.Held).Should().BeLessThanOrEqualTo(100);
            shares.RemoveAll(gone.Contains);
            gone.Clear();
        }

        long UserHeld(PeerShare share) => shares.Where(one => one.User == share.User).Sum(one => one.Held);
    }

    private static PoolPeer Peer(uint? user, int? process) => new() { Description = $"{user}/{process}", UserId = user, ProcessId = process };

    private PeerShare Join(uint? user, int? process)
    {
        var peer = Peer(user, process);
        return _sut.Join(peer, _ => _dropped.Add(peer.Description));
    }
}
