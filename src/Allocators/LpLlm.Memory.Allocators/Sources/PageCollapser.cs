using System.Runtime.InteropServices;

namespace LpLlm.Memory.Sources;

/// <summary>
/// Merges the pages of shared memory to huge ones where the kernel does not do it while it populates (<c>shmem_enabled</c> is <c>never</c>, the default).
/// The first refusal is the last try for its mapping: memory in pieces, or a kernel before Linux 6.1, refuses the rest too. Thread-safe.
/// </summary>
internal sealed class PageCollapser
{
    /// <summary>A page that another thread holds for a moment; the kernel's own word is to try again.</summary>
    private const int MaxTries = 3;

    private int _error;

    /// <summary>Why pages stayed small; 0 if none did.</summary>
    public int Error => Volatile.Read(ref _error);

    /// <summary>
    /// Huge pages for a range, or nothing: what it leaves out is populated page by page afterwards. One page of each huge one has to be there
    /// before; the kernel makes the others with it: measured 0.1 to 2 s a GiB of processor time (4 KiB pages: 0.3). Locking takes 1 ms then instead of 50, another
    /// mapping 1 instead of 65, giving back 1 instead of 100.
    /// </summary>
    /// <param name="address">A multiple of the system's page.</param>
    /// <param name="lengthBytes">A multiple of it too; an end shorter than 2 MiB is left as it is.</param>
    public void Collapse(nint address, long lengthBytes)
    {
        var end = address + (nint)lengthBytes;
        var first = (address + (nint)HugePageReserve.SmallestBytes - 1) & ~((nint)HugePageReserve.SmallestBytes - 1);
        for (var at = first; at + (nint)HugePageReserve.SmallestBytes <= end && Error == 0; at += (nint)HugePageReserve.SmallestBytes)
        {
            Try(at, Environment.SystemPageSize, Libc.AdvisePopulateWrite);
        }

        if (Error == 0)
        {
            Try(address, (nint)lengthBytes, Libc.AdviseCollapse);
        }
    }

    private void Try(nint address, nint lengthBytes, int advice)
    {
        var error = 0;
        for (var i = 0; i < MaxTries && (i == 0 || error == Errno.EAgain); i++)
        {
            error = Libc.Advise(address, lengthBytes, advice) == 0 ? 0 : Marshal.GetLastPInvokeError();
        }

        if (error != 0)
        {
            Volatile.Write(ref _error, error);
        }
    }
}
