using System.Collections.Concurrent;

namespace LpLlm.Memory.TestKit;

/// <summary>
/// Who owns each 256 bytes of memory. Claiming is a compare-and-swap per unit, so two leases that overlap are caught at the instant
/// the second one is handed out, whether or not anybody writes. Touches no memory of the leases: works on simulated memory too.
/// </summary>
public sealed class OwnerMap
{
    private const int UnitBytes = 256;
    private const int PageUnits = (2 << 20) / UnitBytes;
    private readonly ConcurrentDictionary<long, int[]> _pages = new();

    /// <summary>Claims a lease for an owner.</summary>
    /// <param name="lease">A lease just rented.</param>
    /// <param name="owner">Any number but 0.</param>
    /// <exception cref="InvalidOperationException">Part of the lease is owned by somebody else.</exception>
    public void Claim(PinnedLease lease, int owner) => Swap(lease.Address, lease.LengthBytes, expected: 0, owner);

    /// <summary>Releases what <see cref="Claim"/> claimed; before the lease is returned.</summary>
    /// <param name="lease">The lease.</param>
    /// <param name="owner">Who claimed it.</param>
    /// <exception cref="InvalidOperationException">Part of the lease was taken by somebody else.</exception>
    public void Release(PinnedLease lease, int owner) => Release(lease.Address, lease.LengthBytes, owner);

    /// <summary>As <see cref="Release(PinnedLease, int)"/>, for a lease that was returned behind a fence; before the fence completes.</summary>
    /// <param name="address">Address of the lease.</param>
    /// <param name="lengthBytes">Length of the lease.</param>
    /// <param name="owner">Who claimed it.</param>
    /// <exception cref="InvalidOperationException">Part of the lease was taken by somebody else.</exception>
    public void Release(nint address, long lengthBytes, int owner) => Swap(address, lengthBytes, owner, 0);

    private void Swap(nint address, long lengthBytes, int expected, int value)
    {
        var first = address / UnitBytes;
        var last = (address + (nint)lengthBytes - 1) / UnitBytes;
        for (var unit = first; unit <= last; unit++)
        {
            var page = _pages.GetOrAdd(unit / PageUnits, static _ => new int[PageUnits]);
            var found = Interlocked.CompareExchange(ref page[unit % PageUnits], value, expected);
            if (found != expected)
            {
                throw new InvalidOperationException(
                    $"Unit {unit * UnitBytes:x} of a lease of {lengthBytes} B at {address:x} belongs to {found}, not {expected}.");
            }
        }
    }
}
