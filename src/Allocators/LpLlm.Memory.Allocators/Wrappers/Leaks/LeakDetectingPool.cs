using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;

namespace LpLlm.Memory.Wrappers.Leaks;

/// <summary>
/// Puts guards around the leases of the pool it wraps, poisons and keeps back what is returned, and reports what was done wrong to a
/// <see cref="LeakDetector"/>. Needs memory that the host can write.
/// </summary>
/// <remarks>
/// A rent never fails for want of what is in quarantine: that is given up first. Guards do take room. In the snapshot, used bytes are those of live
/// leases with their guards, and the quarantine is cached; where the pool underneath rounds by more than was rented, the rounding of a
/// quarantined block counts as used until no lease is live.
/// </remarks>
internal sealed class LeakDetectingPool : DelegatingPool
{
    private const int StacksNamed = 10;
    private const int UnitBytes = 256;

    /// <summary>Others may rent what a rent makes leave the quarantine, again and again: after this it has lost to them.</summary>
    private static readonly TimeSpan RetryTimeout = TimeSpan.FromSeconds(1);

    private readonly LeakDetector _detector;
    private readonly LeakDetectionOptions _options;
    private readonly Quarantine _quarantine;
    private long _failedRents;
    private int _waiting;
    private volatile bool _disposing;

    /// <exception cref="ArgumentException">The options are wrong, every error is named; or guards around the blocks of a fixed-block pool.</exception>
    public LeakDetectingPool(IPinnedMemoryPool inner, LeakDetector detector)
        : base(inner)
    {
        _detector = detector;
        _options = detector.Options;
        OptionErrors.ThrowIfAny(inner.Name, _options.Validate, "options");
        RefuseGuardsAroundFixedBlocks(inner);
        _quarantine = new Quarantine(_options);
    }

    public override PinnedLease Rent(long lengthBytes, int alignmentBytes = 256)
    {
        RentArguments.Check(lengthBytes, alignmentBytes);
        var guarded = GuardedLength(lengthBytes, alignmentBytes);
        if (TryRentInner(guarded, alignmentBytes, out var inner))
        {
            return Guard(inner, lengthBytes, alignmentBytes, _detector.CaptureStack());
        }

        try
        {
            // Asked once more for the sake of its error, which knows the cause.
            return Guard(Inner.Rent(guarded, alignmentBytes), lengthBytes, alignmentBytes, _detector.CaptureStack());
        }
        catch (PinnedMemoryExhaustedException error)
        {
            Interlocked.Increment(ref _failedRents);
            if (guarded == lengthBytes)
            {
                throw;
            }

            throw WithoutGuards(error, lengthBytes, guarded);
        }
    }

    public override bool TryRent(long lengthBytes, [NotNullWhen(true)] out PinnedLease? lease, int alignmentBytes = 256)
    {
        RentArguments.Check(lengthBytes, alignmentBytes);
        lease = TryRentInner(GuardedLength(lengthBytes, alignmentBytes), alignmentBytes, out var inner)
            ? Guard(inner, lengthBytes, alignmentBytes, _detector.CaptureStack())
            : null;
        if (lease is null)
        {
            Interlocked.Increment(ref _failedRents);
        }

        return lease is not null;
    }

    public override ValueTask<PinnedLease> RentAsync(RentRequest request, CancellationToken cancellationToken = default)
    {
        RentArguments.Check(request);
        return RentGuardedAsync(request, _detector.CaptureStack(), cancellationToken);
    }

    public override PoolSnapshot GetSnapshot()
    {
        var quarantined = _quarantine.Bytes;
        var live = _detector.LiveCount;
        var inner = Inner.GetSnapshot();
        var used = live == 0 ? 0 : Math.Max(0, inner.UsedBytes - quarantined);
        return inner with
        {
            UsedBytes = used,
            CachedBytes = inner.CachedBytes + inner.UsedBytes - used,
            LargestFreeBytes = Math.Max(0, inner.LargestFreeBytes - (2 * _options.GuardBytes)),
            LiveLeases = live,
            FailedRents = Interlocked.Read(ref _failedRents),
        };
    }

    public override long Trim(long keepBytes = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(keepBytes);
        _quarantine.ReleaseDownTo(0);
        return Inner.Trim(keepBytes);
    }

    public override void Dispose()
    {
        EndQuarantine();
        try
        {
            base.Dispose();
        }
        catch (InvalidOperationException error) when (_detector.LiveCount > 0)
        {
            throw WithStacks(error);
        }
    }

    public override async ValueTask DisposeAsync()
    {
        EndQuarantine();
        try
        {
            await base.DisposeAsync().ConfigureAwait(false);
        }
        catch (InvalidOperationException error) when (_detector.LiveCount > 0)
        {
            throw WithStacks(error);
        }
    }

    public void TakeBack(LeaseRecord record, IFence? fence)
    {
        if (fence is { IsCompleted: false })
        {
            // In this order, so that the snapshot never shows the block neither used nor pending.
            record.ReleaseAfter(new CheckingFence(fence, () => CheckAndPoison(record)));
            _detector.Remove(record);
            return;
        }

        CheckAndPoison(record);
        if (_options.QuarantineBytes == 0 || record.HeldBytes > _options.QuarantineBytes)
        {
            record.Release();
            _detector.Remove(record);
            return;
        }

        _quarantine.Add(record);
        _detector.Remove(record);

        // After the block is in the queue: a rent that begins to wait looks there only after it has counted itself.
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _waiting) > 0 || _disposing)
        {
            _quarantine.ReleaseDownTo(0);
        }
    }

    /// <summary>A block with guards is longer than the pool's blocks, so the length that such a pool is for would never be served.</summary>
    private void RefuseGuardsAroundFixedBlocks(IPinnedMemoryPool inner)
    {
        var innermost = inner;
        while (innermost is DelegatingPool wrapper)
        {
            innermost = wrapper.Inner;
        }

        if (innermost is IFixedBlockPool blocks && _options.GuardBytes > 0)
        {
            throw new ArgumentException(
                $"Pool '{inner.Name}' has blocks of {blocks.BlockBytes} B, and {nameof(LeakDetectionOptions.GuardBytes)} is {_options.GuardBytes}: "
                + $"a rent of a whole block would never fit. Set {nameof(LeakDetectionOptions.GuardBytes)} to 0.",
                nameof(inner));
        }
    }

    private void EndQuarantine()
    {
        _disposing = true;
        Interlocked.MemoryBarrier(); // the counterpart of the one in TakeBack
        _quarantine.ReleaseDownTo(0);
    }

    private InvalidOperationException WithStacks(InvalidOperationException error) =>
        new($"{error.Message} The oldest of them:{_detector.ReportLiveAtDisposal(StacksNamed)}", error);

    private void CheckAndPoison(LeaseRecord record)
    {
        record.CheckGuards();
        if (_options.PoisonOnReturn)
        {
            record.Block.Poison();
        }
    }

    /// <summary>
    /// Fails only if, from before the last attempt until after it, no block was in quarantine or on its way out; if the pool never has so
    /// much; or after <see cref="RetryTimeout"/> of others being faster.
    /// </summary>
    private bool TryRentInner(long guardedBytes, int alignmentBytes, [NotNullWhen(true)] out PinnedLease? inner)
    {
        var spinner = default(SpinWait);
        var started = _detector.Time.GetTimestamp();
        while (true)
        {
            var released = _quarantine.Released;
            if (Inner.TryRent(guardedBytes, out inner, alignmentBytes))
            {
                return true;
            }

            if ((!_quarantine.IsBusy && _quarantine.Released == released)
                || guardedBytes > Inner.GetSnapshot().CapacityBytes
                || _detector.Time.GetElapsedTime(started) > RetryTimeout)
            {
                return false;
            }

            _quarantine.ReleaseDownTo(0);
            spinner.SpinOnce();
        }
    }

    private async ValueTask<PinnedLease> RentGuardedAsync(RentRequest request, StackTrace? rentedAt, CancellationToken cancellationToken)
    {
        var guarded = GuardedLength(request.LengthBytes, request.AlignmentBytes);
        var started = _detector.Time.GetTimestamp();
        Interlocked.Increment(ref _waiting);
        try
        {
            while (true)
            {
                var released = _quarantine.Released;
                var renting = Inner.RentAsync(request with { LengthBytes = guarded }, cancellationToken);
                if (!renting.IsCompletedSuccessfully)
                {
                    _quarantine.ReleaseDownTo(0);
                }

                try
                {
                    var inner = await renting.ConfigureAwait(false);
                    return Guard(inner, request.LengthBytes, request.AlignmentBytes, rentedAt);
                }
                catch (PinnedMemoryExhaustedException error) when (error.IsTransient && request.Timeout == TimeSpan.Zero
                    && (_quarantine.IsBusy || _quarantine.Released != released)
                    && _detector.Time.GetElapsedTime(started) <= RetryTimeout)
                {
                    await Task.Yield(); // It did not wait for what was just given up; so once more.
                }
                catch (PinnedMemoryExhaustedException error)
                {
                    Interlocked.Increment(ref _failedRents);
                    if (guarded == request.LengthBytes)
                    {
                        throw;
                    }

                    throw WithoutGuards(error, request.LengthBytes, guarded);
                }
            }
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    private PinnedLease Guard(PinnedLease inner, long lengthBytes, int alignmentBytes, StackTrace? rentedAt)
    {
        var block = new GuardedBlock(inner.Address + (nint)BytesBefore(alignmentBytes), lengthBytes, _options.GuardBytes);
        block.SetGuards();
        var record = new LeaseRecord(this, _detector, inner, block, rentedAt);
        _detector.Add(record);
        return record.CreateLease();
    }

    /// <summary>The guard in front, in whole alignments: the lease is as aligned as the block underneath.</summary>
    private long BytesBefore(int alignmentBytes)
    {
        long unit = Math.Max(alignmentBytes, UnitBytes);
        return (_options.GuardBytes + unit - 1) / unit * unit;
    }

    /// <summary>A length so great that the guards do not fit into the number fits no pool either way.</summary>
    private long GuardedLength(long lengthBytes, int alignmentBytes) =>
        _options.GuardBytes == 0 || lengthBytes > long.MaxValue - BytesBefore(alignmentBytes) - _options.GuardBytes
            ? lengthBytes
            : lengthBytes + BytesBefore(alignmentBytes) + _options.GuardBytes;

    private PinnedMemoryExhaustedException WithoutGuards(PinnedMemoryExhaustedException error, long lengthBytes, long guardedBytes) => new(
        Name,
        error.Cause,
        lengthBytes,
        Math.Max(0, error.LargestBlockBytes - (guardedBytes - lengthBytes)),
        GetSnapshot(),
        innerException: error);
}
