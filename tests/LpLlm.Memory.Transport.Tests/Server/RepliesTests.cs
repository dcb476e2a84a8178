using LpLlm.Memory.Transport.Engine;

namespace LpLlm.Memory.Transport.Server;

public class RepliesTests
{
    [Theory]
    [InlineData(10, 4 << 20, false)]
    [InlineData(60_000, 4 << 20, true)]
    [InlineData(1, 4 << 10, false)]
    [InlineData(20, 4 << 10, true)]
    public void List_MoreLeasesThanAMessageHolds_SaysHowManyAreLeftOut(int count, int maxMessageBytes, bool isCut)
    {
        var leases = Enumerable.Range(1, count).Select(id => new LeaseSummary
        {
            Id = (ulong)id,
            Name = new string('n', PoolProtocol.MaxTextLength),
            Owner = new SessionOptions { ClientName = new string('c', PoolProtocol.MaxTextLength) },
            LengthBytes = 2 << 20,
            SegmentCount = 1,
            HolderCount = 1,
            State = LeaseState.Leased,
            Age = TimeSpan.FromSeconds(1),
        }).ToList();

        var reply = Replies.List(leases, maxMessageBytes);

        (reply.Leases.Count + reply.Omitted).Should().Be(count);
        (reply.Omitted > 0).Should().Be(isCut);
        reply.CalculateSize().Should().BeLessThanOrEqualTo(maxMessageBytes);
        reply.Leases.Should().NotBeEmpty();
        reply.Leases.Select(lease => lease.Id).Should().Equal(Enumerable.Range(1, reply.Leases.Count).Select(id => (ulong)id), "the first ones");
    }
}
