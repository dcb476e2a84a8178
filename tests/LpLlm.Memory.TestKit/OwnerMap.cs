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
    public void Claim(PinnedLease lease, int owner) => Swap(lease, expected: 0, owner);

    /// <summary>Releases what <see cref="Claim"/> claimed; before the lease is returned.</summary>
    /// <param name="lease">The lease.</param>
    /// <param name="owner">Who claimed it.</param>
    /// <exception cref="InvalidOperationException">Part of the lease was taken by somebody else.</exception>
    public void Release(PinnedLease lease, int owner) => Swap(lease, owner, 0);

    private void Swap(PinnedLease lease, int expected, int value)
    {
        var first = lease.Address / UnitBytes;
        var last = (lease.Address + (nint)lease.LengthBytes - 1) / UnitBytes;
        for (var unit = first; unit <= last; unit++)
        {
            var page = _pages.GetOrAdd(unit / PageUnits, static _ => new int[PageUnits]);
            var found = Interlocked.CompareExchange(ref page[unit % PageUnits], value, expected);
            if (found != expected)
            {
                throw new InvalidOperationException(
                    $"Unit {unit * UnitBytes:x} of a lease of {lease.LengthBytes} B at {lease.Address:x} belongs to {found}, not {expected}.");
            }
        }
    }
}
