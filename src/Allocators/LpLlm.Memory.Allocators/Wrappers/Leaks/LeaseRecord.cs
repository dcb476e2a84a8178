using System.Diagnostics;

namespace LpLlm.Memory.Wrappers.Leaks;

/// <summary>All that is known about one lease; the owner that its holder's lease returns to.</summary>
internal sealed class LeaseRecord : IPinnedLeaseOwner
{
    private readonly LeakDetectingPool _pool;
    private readonly LeakDetector _detector;
    private readonly PinnedLease _inner;
    private readonly StackTrace? _rentedAt;
    private StackTrace? _returnedAt;

    public LeaseRecord(LeakDetectingPool pool, LeakDetector detector, PinnedLease inner, in GuardedBlock block, StackTrace? rentedAt)
    {
        _pool = pool;
        _detector = detector;
        _inner = inner;
        _rentedAt = rentedAt;
        Block = block;
        RentedTimestamp = detector.Time.GetTimestamp();
    }

    public string PoolName => _inner.PoolName;

    public PoolCapabilities Capabilities => _inner.Capabilities;

    public LeasePlacement Placement => _inner.Placement;

    public GuardedBlock Block { get; }

    /// <summary>What the block takes from the inner pool, without that pool's rounding.</summary>
    public long HeldBytes => _inner.LengthBytes;

    public long RentedTimestamp { get; }

    public bool IsDropped { get; private set; }

    private int ThreadId { get; } = Environment.CurrentManagedThreadId;

    public PinnedLease CreateLease() =>
        new(this, new LeasedBlock(Block.Address, Block.LengthBytes, Token: 0, State: new LeaseTracker(this)));

    public void TakeBack(in LeasedBlock block, IFence? fence)
    {
        ((LeaseTracker)block.State!).Dispose();
        _returnedAt = _detector.CaptureStack();
        _pool.TakeBack(this, fence);
    }

    public void ReturnedAgain(in LeasedBlock block) => Report(LeaseFaultKind.DoubleReturn, returnedAgainAt: _detector.CaptureStack());

    public void ReportDropped()
    {
        IsDropped = true;
        Report(LeaseFaultKind.Dropped);
    }

    /// <summary>Looks at the guards. Only once no device uses the memory any more.</summary>
    public void CheckGuards()
    {
        if (Block.FindUnderrun() is { } before)
        {
            Report(LeaseFaultKind.Underrun, before);
        }

        if (Block.FindOverrun() is { } behind)
        {
            Report(LeaseFaultKind.Overrun, behind);
        }
    }

    public void CheckPoison()
    {
        if (Block.FindWriteAfterPoison() is { } damage)
        {
            Report(LeaseFaultKind.WriteAfterReturn, damage);
        }
    }

    /// <summary>Gives the block to the pool underneath.</summary>
    public void Release() => _inner.Dispose();

    /// <summary>Gives the block to the pool underneath, which waits for the fence.</summary>
    public void ReleaseAfter(IFence fence) => _inner.ReturnAfter(fence);

    public void Report(LeaseFaultKind kind, long? damageOffsetBytes = null, StackTrace? returnedAgainAt = null) => _detector.Report(new LeaseFault
    {
        Kind = kind,
        PoolName = _pool.Name,
        Address = Block.Address,
        LengthBytes = Block.LengthBytes,
        DamageOffsetBytes = damageOffsetBytes,
        RentedAt = _rentedAt?.ToString(),
        ReturnedAt = _returnedAt?.ToString(),
        ReturnedAgainAt = returnedAgainAt?.ToString(),
    });

    public LiveLeaseReport Describe() => new(
        _pool.Name,
        Block.Address,
        Block.LengthBytes,
        _detector.Time.GetElapsedTime(RentedTimestamp),
        ThreadId,
        _rentedAt?.ToString(),
        IsDropped);
}
