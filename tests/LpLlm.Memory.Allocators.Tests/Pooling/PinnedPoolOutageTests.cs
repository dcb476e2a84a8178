namespace LpLlm.Memory.Tests.Pooling;

/// <summary>A pool whose source is a server that can go away.</summary>
public class PinnedPoolOutageTests : PoolFixture
{
    private static readonly PoolServerUnavailableException Outage = new("pipe:///test", "Told to be gone.");

    [Fact]
    public async Task Rent_ServerGone_SaysSo_LeavesLeasesUsable_AndRecoversAtOnce()
    {
        using var sut = CreateSut(capacityBytes: 2 * MiB, time: Time);
        var held = sut.Rent(MiB);
        Source.Outage = Outage;

        sut.Invoking(pool => pool.Rent(MiB)).Should().Throw<PoolServerUnavailableException>().Which.IsTransient.Should().BeTrue();
        sut.Invoking(pool => pool.TryRent(MiB, out _)).Should().Throw<PoolServerUnavailableException>();
        await sut.Awaiting(pool => pool.RentAsync(MiB).AsTask().DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();
        held.Dispose();
        held = sut.Rent(MiB); // what the pool has needs no server
        Source.Outage = null;
        using var second = sut.Rent(MiB);

        sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.LiveLeases == 2 && s.WaitingRents == 0);
        held.Dispose();
    }

    [Fact]
    public async Task Rent_ALeaseComesBackWhileTheServerIsAsked_TakesItInsteadOfFailing()
    {
        var gate = new TaskCompletionSource();
        using var sut = CreateSut(capacityBytes: 2 * MiB);
        var held = sut.Rent(MiB);
        (Source.Gate, Source.Outage) = (gate.Task, Outage);
        var renting = Task.Run(() => sut.Rent(MiB));
        await TestTimeouts.UntilAsync(() => Source.Reserves == 2);

        held.Dispose();
        gate.SetResult();

        (await renting.DefaultTimeout()).Dispose();
    }

    [Fact]
    public async Task RentAsync_TheSlabIsTrimmedJustBeforeItWaitsAndTheServerGone_IsToldSoInsteadOfWaiting()
    {
        var time = new HookedTime();
        using var sut = CreateSut(capacityBytes: MiB, time: time);
        for (var round = 0; round < 3; round++)
        {
            Source.Outage = null;
            var all = sut.Rent(MiB);
            Source.Outage = Outage;
            time.Hook = () => // between the look for room and the wait
            {
                all.Dispose();
                sut.Trim();
            };

            await sut.Awaiting(pool => pool.RentAsync(MiB).AsTask().DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();

            Logger.Entries.Count(entry => entry.Id == 1003).Should().Be(round + 1);
            sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.WaitingRents == 0 && s.LiveLeases == 0 && s.ReservedBytes == 0);
        }
    }

    private sealed class HookedTime : TimeProvider
    {
        private Action? _hook;

        public Action? Hook
        {
            set => _hook = value;
        }

        public override long GetTimestamp()
        {
            Interlocked.Exchange(ref _hook, null)?.Invoke();
            return System.GetTimestamp();
        }
    }
}
