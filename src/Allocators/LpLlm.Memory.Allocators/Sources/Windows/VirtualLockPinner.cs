using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace LpLlm.Memory.Sources.Windows;

/// <summary>
/// Page-locks with VirtualLock: resident and never written to the page file while the process runs. What can be locked is the least working set, which
/// grows with each range and shrinks again.
/// </summary>
[SupportedOSPlatform("windows")]
internal sealed class VirtualLockPinner : IHostPinner
{
    private const string HowToRaise =
        "The machine may have no memory left, or the user lacks the right to increase a process working set; AllowPageable=true goes on without page-locking.";

    private const int MaxTries = 8;

    /// <summary>What the process itself needs beside locked pages; Windows starts with 200 KiB to 1.4 MiB.</summary>
    private const long SpareBytes = 64L << 20;

    /// <summary>Of all pools of the process, as the working set is.</summary>
    private static long s_lockedBytes;

    public string Name => "VirtualLock";

    public PoolCapabilities Capabilities => PoolCapabilities.PageLocked;

    public void Pin(nint address, long lengthBytes)
    {
        Interlocked.Add(ref s_lockedBytes, lengthBytes);
        for (var i = 1; !TryPin(address, lengthBytes); i++)
        {
            // Another thread may have set the working set by an older count.
            var error = Marshal.GetLastPInvokeError();
            if (error != MemoryCalls.WorkingSetQuota || i == MaxTries)
            {
                var locked = Interlocked.Add(ref s_lockedBytes, -lengthBytes);
                throw new MemorySourceException("VirtualLock", error, $"error {error}", lengthBytes, limitBytes: null, $"{locked} B are locked already. {HowToRaise}");
            }
        }
    }

    public void Unpin(nint address, long lengthBytes)
    {
        if (!MemoryCalls.Unlock(address, (nint)lengthBytes))
        {
            throw MemoryCalls.Failure("VirtualUnlock", lengthBytes, "The range stays locked and mapped until the process ends.");
        }

        Interlocked.Add(ref s_lockedBytes, -lengthBytes);
        _ = FitWorkingSet(); // too large a one costs nothing before the next call
    }

    private static bool TryPin(nint address, long lengthBytes) => FitWorkingSet() && MemoryCalls.Lock(address, (nint)lengthBytes);

    private static bool FitWorkingSet()
    {
        if (!MemoryCalls.GetWorkingSet(MemoryCalls.ThisProcess, out _, out var most, out var flags))
        {
            return false;
        }

        nuint least = (nuint)(Interlocked.Read(ref s_lockedBytes) + SpareBytes);
        return MemoryCalls.SetWorkingSet(MemoryCalls.ThisProcess, least, Math.Max(most, least + (nuint)SpareBytes), flags);
    }
}
