namespace LpLlm.Memory.Attention;

/// <summary>Lengths and pages of one sequence.</summary>
/// <remarks>
/// A request claims the sequence when it is accepted, begins, reserves pages, commits its tokens and releases. Nothing but
/// <see cref="Commit"/> changes a length, so <see cref="Release"/> is the whole roll-back: it returns every page that no
/// committed token needs. The lock guards the state; between <see cref="Begin"/> and <see cref="Release"/> the pages belong
/// to the dispatcher alone, and it touches them without the lock. A request whose copies failed leaves their fence behind: until it
/// completes, if ever, the sequence is in use and its pages go back behind the fence. No fence is asked under the lock: that is a driver's
/// call.
/// </remarks>
internal sealed class KvSequence : IKvSequence
{
    private readonly Lock _gate = new();
    private readonly KvCache _cache;
    private readonly int[] _lengths;
    private readonly List<PinnedLease> _pages = [];
    private nint[] _addresses = [];
    private volatile IFence? _copies;
    private SequenceUse _use;
    private bool _disposed;

    public KvSequence(KvCache cache)
    {
        _cache = cache;
        _lengths = new int[cache.Shape.LayerCount];
    }

    public IKvCache Cache => _cache;

    /// <summary>First byte of each page; may be longer than there are pages. Stable while the request runs.</summary>
    public nint[] PageAddresses => _addresses;

    public int GetLength(int layer)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(layer);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(layer, _lengths.Length);
        lock (_gate)
        {
            return _lengths[layer];
        }
    }

    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        PinnedLease[] empty;
        var arrived = FindArrivedCopies();
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(IKvSequence));
            ThrowIfInUseUnsynchronized(arrived);
            foreach (ref var layerLength in _lengths.AsSpan())
            {
                layerLength = Math.Min(layerLength, length);
            }

            empty = TakeUnneededPagesUnsynchronized();
        }

        _cache.ReturnPages(empty, behind: null);
    }

    /// <summary>Pages that a running request reads are returned when it ends.</summary>
    public void Dispose()
    {
        PinnedLease[] pages;
        lock (_gate)
        {
            _disposed = true;
            pages = _use == SequenceUse.Running ? [] : TakeUnneededPagesUnsynchronized();
        }

        _cache.ReturnPages(pages, _copies);
        _cache.Forget(this);
    }

    /// <summary>Takes the sequence for a request.</summary>
    /// <exception cref="ArgumentException">It is disposed.</exception>
    /// <exception cref="InvalidOperationException">Another request has it.</exception>
    public void Claim()
    {
        var arrived = FindArrivedCopies();
        lock (_gate)
        {
            ThrowIfDisposedUnsynchronized();
            ThrowIfInUseUnsynchronized(arrived);
            _copies = null;
            _use = SequenceUse.Queued;
        }
    }

    /// <exception cref="ArgumentException">The sequence was disposed while the request waited.</exception>
    public void Begin()
    {
        lock (_gate)
        {
            ThrowIfDisposedUnsynchronized();
            _use = SequenceUse.Running;
        }
    }

    /// <summary>Rents the pages that further tokens of a layer need. What it has rented when it throws goes with <see cref="Release"/>.</summary>
    public void Reserve(int layer, int tokenCount)
    {
        var length = _lengths[layer];
        if (tokenCount > KvLayout.MaxTokens - length)
        {
            throw new ArgumentException(
                $"{tokenCount} tokens on top of {length} exceed the longest sequence, {KvLayout.MaxTokens} tokens.", nameof(tokenCount));
        }

        var needed = _cache.Layout.PagesFor(length + tokenCount);
        if (needed > _addresses.Length)
        {
            Array.Resize(ref _addresses, (int)Math.Min(Math.Max(needed, 2L * _addresses.Length), Array.MaxLength));
        }

        while (_pages.Count < needed)
        {
            var page = _cache.RentPage();
            _addresses[_pages.Count] = page.Address;
            _pages.Add(page);
        }
    }

    public void Commit(int layer, int tokenCount)
    {
        lock (_gate)
        {
            _lengths[layer] += tokenCount;
        }
    }

    /// <param name="copies">Completes when nothing is copied into the pages any more; null when that is so already.</param>
    public void Release(IFence? copies = null)
    {
        PinnedLease[] unneeded;
        lock (_gate)
        {
            _use = SequenceUse.Idle;
            _copies = copies;
            unneeded = TakeUnneededPagesUnsynchronized();
        }

        _cache.ReturnPages(unneeded, copies);
    }

    private IFence? FindArrivedCopies() => _copies is { IsCompleted: true } copies ? copies : null;

    private PinnedLease[] TakeUnneededPagesUnsynchronized()
    {
        var keep = _disposed ? 0 : _cache.Layout.PagesFor(_lengths.Max());
        if (keep >= _pages.Count)
        {
            return [];
        }

        PinnedLease[] taken = [.. _pages.Skip(keep)];
        _pages.RemoveRange(keep, taken.Length);
        return taken;
    }

    private void ThrowIfInUseUnsynchronized(IFence? arrived)
    {
        if (_use != SequenceUse.Idle)
        {
            throw new InvalidOperationException(
                "A request on the sequence is still running; await its task first. A sequence is used by one request at a time.");
        }

        if (!ReferenceEquals(_copies, arrived))
        {
            throw new InvalidOperationException(
                "Copies of a failed request may still be under way to the sequence; dispose it.");
        }
    }

    private void ThrowIfDisposedUnsynchronized()
    {
        if (_disposed)
        {
            throw new ArgumentException("A sequence of the request is disposed.");
        }
    }
}
