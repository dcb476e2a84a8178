using System.Globalization;
using System.Runtime.InteropServices;

namespace LpLlm.Memory.Sources;

/// <summary>Page-locks with mlock: resident and never swapped. Devices copy faster still from registered memory.</summary>
internal sealed class MlockHostPinner : IHostPinner
{
    private const string HowToRaise =
        "Raise the limit (ulimit -l unlimited; LimitMEMLOCK=infinity in a systemd unit; --ulimit memlock=-1 for a container) "
        + "or grant CAP_IPC_LOCK; AllowPageable=true goes on without page-locking.";

    public string Name => "mlock";

    public PoolCapabilities Capabilities => PoolCapabilities.PageLocked;

    public void Pin(nint address, long lengthBytes)
    {
        LocalPlatform.EnsureSupported();
        if (Libc.Lock(address, (nint)lengthBytes) != 0)
        {
            throw Refusal(Marshal.GetLastPInvokeError(), lengthBytes, ReadLimit(), ReadLockedBytes());
        }
    }

    public void Unpin(nint address, long lengthBytes)
    {
        if (Libc.Unlock(address, (nint)lengthBytes) != 0)
        {
            throw Errno.Failure(
                "munlock", Marshal.GetLastPInvokeError(), lengthBytes, "The range stays locked and mapped until the process ends.");
        }
    }

    /// <summary>Refuses up front what RLIMIT_MEMLOCK will refuse later.</summary>
    /// <exception cref="MemorySourceException">So much more cannot be locked by this process, ever.</exception>
    public static void EnsureAllowed(long lengthBytes)
    {
        var lockedBytes = ReadLockedBytes();
        if (lengthBytes > 0 && ReadLimit() is { } limit && lengthBytes > limit - lockedBytes && !MayExceedLimit())
        {
            throw Refusal(limit == 0 ? Errno.EPerm : Errno.ENoMem, lengthBytes, limit, lockedBytes);
        }
    }

    /// <summary>Words a refusal. ENOMEM means three things; the limit and what is locked already tell them apart.</summary>
    internal static MemorySourceException Refusal(int error, long lengthBytes, long? limitBytes, long lockedBytes)
    {
        var overLimit = limitBytes is { } limit && lockedBytes + lengthBytes > limit;
        var remedy = (error, overLimit) switch
        {
            (Errno.EPerm, _) => $"This process may not lock memory at all. {HowToRaise}",
            (Errno.ENoMem or Errno.EAgain, true) => $"RLIMIT_MEMLOCK is too small: {lockedBytes} B are locked already. {HowToRaise}",
            (Errno.ENoMem or Errno.EAgain, false) => "The machine has no memory left that can be locked: lower InitialBytes or CapacityBytes.",
            _ => $"The kernel refused for another reason. {HowToRaise}",
        };
        return new MemorySourceException("mlock", error, Errno.NameOf(error), lengthBytes, limitBytes, remedy);
    }

    private static long? ReadLimit() =>
        Libc.GetLimit(Libc.LimitMemlock, out var limit) == 0 && limit.Current <= long.MaxValue ? (long)limit.Current : null;

    private static long ReadLockedBytes() =>
        ReadStatus("VmLck:") is { } text ? long.Parse(text.AsSpan().TrimEnd("kB").Trim(), CultureInfo.InvariantCulture) * 1024 : 0;

    /// <summary>CAP_IPC_LOCK.</summary>
    private static bool MayExceedLimit() =>
        ReadStatus("CapEff:") is { } text && (ulong.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture) & (1UL << 14)) != 0;

    private static string? ReadStatus(string field) =>
        File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith(field, StringComparison.Ordinal))?[field.Length..].Trim();
}
