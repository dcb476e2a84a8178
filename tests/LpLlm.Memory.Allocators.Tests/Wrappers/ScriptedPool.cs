using System.Diagnostics.CodeAnalysis;

namespace LpLlm.Memory.Tests.Wrappers;

/// <summary>
/// An adversary for a limit: holds rents of one length where they are until the test lets them go or fails them, fails those of another, and
/// checks at each rent that the bytes out never exceed the limit.
/// </summary>
internal sealed class ScriptedPool(long limitBytes) : IPinnedMemoryPool, IPinnedLeaseOwner
{
    private readonly ManualResetEventSlim _entered = new();
    private readonly ManualResetEventSlim _outcome = new();
    private long _outBytes;
    private long _highestBytes;
    private long _live;
    private volatile bool _fails;

    public string Name => "scripted";

    public string PoolName => Name;

    public PoolCapabilities Capabilities => PoolCapabilities.None;

    /// <summary>Rents of this length stay inside until <see cref="LetGo"/>.</summary>
    public long HeldBytes { get; init; }

    /// <summary>Rents of this length fail, after they were inside for a while; 0 for none.</summary>
    public long FailingBytes { get; init; }

    /// <summary>What the snapshot says, but for the leases.</summary>
    public PoolSnapshot Accounts { get; init; } = new() { CapacityBytes = 1L << 40 };

    /// <summary>The most bytes that were out or inside a rent at any instant.</summary>
    public long HighestBytes => Volatile.Read(ref _highestBytes);

    public void WaitForHeldRent() => _entered.Wait(TimeSpan.FromSeconds(30)).Should().BeTrue();

    public void LetGo(bool fails)
    {
        _fails = fails;
        _outcome.Set();
    }

    public PinnedLease Rent(long lengthBytes, int alignmentBytes = 256) => TryRent(lengthBytes, out var lease, alignmentBytes)
        ? lease
        : throw new PinnedMemoryExhaustedException(Name, ExhaustionCause.NoMemory, lengthBytes, limitBytes, GetSnapshot());

    public bool TryRent(long lengthBytes, [NotNullWhen(true)] out PinnedLease? lease, int alignmentBytes = 256)
    {
        lease = null;
        var now = Interlocked.Add(ref _outBytes, lengthBytes);
        for (var seen = HighestBytes; now > seen && Interlocked.CompareExchange(ref _highestBytes, now, seen) != seen; seen = HighestBytes)
        {
        }

        if (!Serve(lengthBytes))
        {
            Interlocked.Add(ref _outBytes, -lengthBytes);
            return false;
        }

        Interlocked.Increment(ref _live);
        lease = new PinnedLease(this, new LeasedBlock(0, lengthBytes, 0));
        return true;
    }

    public ValueTask<PinnedLease> RentAsync(RentRequest request, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(Rent(request.LengthBytes, request.AlignmentBytes));

    public PoolSnapshot GetSnapshot() => Accounts with { LiveLeases = Volatile.Read(ref _live) };

    public long Trim(long keepBytes = 0) => 0;

    public void TakeBack(in LeasedBlock block, IFence? fence)
    {
        Interlocked.Decrement(ref _live);
        Interlocked.Add(ref _outBytes, -block.LengthBytes);
    }

    public void Dispose()
    {
        _entered.Dispose();
        _outcome.Dispose();
    }

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    private bool Serve(long lengthBytes)
    {
        if (lengthBytes == HeldBytes)
        {
            _entered.Set();
            _outcome.Wait(TimeSpan.FromSeconds(30)).Should().BeTrue();
            return !_fails;
        }

        if (lengthBytes == FailingBytes)
        {
            Thread.Yield(); // long enough inside to be in somebody's way
            return false;
        }

        return true;
    }
}
