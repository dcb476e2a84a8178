namespace LpLlm.Memory.Attention;

/// <summary>What copies that are under way need when something goes wrong.</summary>
internal static class DeviceCopies
{
    /// <summary>Marks the end of what was enqueued before a call failed: some copies may be under way all the same.</summary>
    public static IFence RecordAfterFailure(this IDeviceStream stream)
    {
        try
        {
            return stream.Record();
        }
        catch (PinnedMemoryException failure) // the caller reports the first refusal; this one only decides what becomes of the memory
        {
            return new UnknownFence(failure);
        }
    }

    /// <summary>Waits for a fence.</summary>
    /// <param name="fence">Behind the copies.</param>
    /// <param name="stop">Fires when they are to be waited for no longer.</param>
    /// <returns>Null when they have ended; else why nobody knows whether they have.</returns>
    public static async ValueTask<Exception?> WaitForEndAsync(this IFence fence, CancellationToken stop)
    {
        try
        {
            await fence.WaitAsync(stop).ConfigureAwait(false);
            return null;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return new ObjectDisposedException(typeof(IAttnManager).FullName);
        }
        catch (Exception failure) // whatever a device reports
        {
            return failure;
        }
    }
}
