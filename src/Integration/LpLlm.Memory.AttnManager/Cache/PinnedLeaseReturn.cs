namespace LpLlm.Memory.Attention;

internal static class PinnedLeaseReturn
{
    /// <summary>Returns a lease behind the device's work on it; at once where there is none.</summary>
    public static void Return(this PinnedLease lease, IFence? behind)
    {
        if (behind is null)
        {
            lease.Dispose();
        }
        else
        {
            lease.ReturnAfter(behind);
        }
    }
}
