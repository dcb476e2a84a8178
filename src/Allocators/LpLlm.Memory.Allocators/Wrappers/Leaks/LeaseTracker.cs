namespace LpLlm.Memory.Wrappers.Leaks;

/// <summary>
/// Its finalizer tells that a lease was dropped: only the lease refers to it. A separate object, because a finalizer on what hands out
/// spans could run while one is in use (CA2015).
/// </summary>
internal sealed class LeaseTracker(LeaseRecord record) : IDisposable
{
    // The log and its providers are not for the finalizer thread, which must never block or throw.
    ~LeaseTracker() => ThreadPool.UnsafeQueueUserWorkItem(static dropped => dropped.ReportDropped(), record, preferLocal: false);

    /// <summary>The lease was returned.</summary>
    public void Dispose() => GC.SuppressFinalize(this);
}
