namespace LpLlm.Memory.Attention;

internal sealed class KvCache : IKvCache
{
    private readonly Lock _gate = new();
    private readonly HashSet<KvSequence> _sequences = [];
    private readonly AttnManager _manager;
    private readonly PageBudget _budget;
    private int _pageCount;
    private bool _disposed;

    public KvCache(AttnManager manager, PageBudget budget, KvLayout layout)
    {
        _manager = manager;
        _budget = budget;
        Layout = layout;
    }

    public KvLayout Layout { get; }

    public KvCacheShape Shape => Layout.Shape;

    public int PageTokens => Layout.PageTokens;

    public long PageBytes => Layout.PageBytes;

    public int PageCount => Volatile.Read(ref _pageCount);

    public IKvSequence CreateSequence()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(IKvCache));
            var sequence = new KvSequence(this);
            _sequences.Add(sequence);
            return sequence;
        }
    }

    public void Dispose()
    {
        KvSequence[] sequences;
        lock (_gate)
        {
            _disposed = true;
            sequences = [.. _sequences];
        }

        foreach (var sequence in sequences)
        {
            sequence.Dispose();
        }

        _manager.Forget(this);
    }

    public bool BelongsTo(AttnManager manager) => ReferenceEquals(_manager, manager);

    public void Forget(KvSequence sequence)
    {
        lock (_gate)
        {
            _sequences.Remove(sequence);
        }
    }

    public PinnedLease RentPage()
    {
        _budget.Take(PageBytes);
        PinnedLease? page = null;
        try
        {
            page = _manager.Pool.Rent(PageBytes);
            Interlocked.Increment(ref _pageCount);
            return page;
        }
        finally
        {
            if (page is null)
            {
                _budget.GiveBack(PageBytes);
            }
        }
    }

    /// <param name="pages">Pages of a sequence that it needs no more.</param>
    /// <param name="behind">Completes when no device writes to them any more; null when that is so already.</param>
    public void ReturnPages(ReadOnlySpan<PinnedLease> pages, IFence? behind)
    {
        foreach (var page in pages)
        {
            page.Return(behind);
            Interlocked.Decrement(ref _pageCount);
            _budget.GiveBack(PageBytes);
        }
    }
}
