using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LpLlm.Memory.Transport.Client;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Windows;

/// <summary>
/// Addresses on Windows. Each piece that is taken is a reservation of its own; where a section is mapped into it, the reservation makes room for the
/// view, and what is left of it is reserved again.
/// </summary>
/// <remarks>
/// Windows 10 1803 has placeholders, which a view replaces in one step; Server 2016, which this runtime supports, has not. Here other code of this
/// process could take the addresses in the microsecond between two calls. The second call then fails, and nothing is overwritten: that request is
/// refused. Reservations come from the top of the address space, where nobody else allocates unless it asks to.
/// </remarks>
[SupportedOSPlatform("windows")]
internal sealed class WindowsAddressRange(long capacityBytes) : AddressRange(capacityBytes)
{
    private const int MaxTries = 64;

    // What is at the taken addresses, in their order: views of sections, and reservations.
    private readonly SortedList<nint, (long LengthBytes, bool IsView)> _pieces = [];

    /// <summary>A section's length is final, and mapping more than that fails: there is nothing to check before.</summary>
    public override void Map(SafeFileHandle file, nint address, long lengthBytes, ulong inode, string endPoint, bool readOnly)
    {
        var (start, reservedBytes) = TakeReservation(address, lengthBytes);
        if (!ViewCalls.Free(start, 0, ViewCalls.Release))
        {
            Record(start, reservedBytes, isView: false);
            throw Failure("VirtualFree", lengthBytes, "The addresses stay reserved.");
        }

        var view = ViewCalls.Map(file, readOnly ? ViewCalls.Read : ViewCalls.Write, 0, 0, (nint)lengthBytes, address);
        if (view == 0)
        {
            var failure = Failure(
                "MapViewOfFileEx", lengthBytes, "The section is shorter, or another part of this process took the addresses at that very moment: try again.");
            ReserveAgain(start, (nint)reservedBytes);
            throw failure;
        }

        Record(address, lengthBytes, isView: true);
        ReserveAgain(start, address - start);
        ReserveAgain(address + (nint)lengthBytes, start + (nint)reservedBytes - address - (nint)lengthBytes);
    }

    public override void Return(nint address, long lengthBytes)
    {
        List<(nint Address, bool IsView)> pieces;
        lock (Gate)
        {
            pieces = [.. _pieces.Where(piece => piece.Key >= address && piece.Key < address + (nint)lengthBytes).Select(piece => (piece.Key, piece.Value.IsView))];
            pieces.ForEach(piece => _pieces.Remove(piece.Address));
        }

        MemorySourceException? failure = null;
        foreach (var (at, isView) in pieces)
        {
            if (!(isView ? ViewCalls.Unmap(at) : ViewCalls.Free(at, 0, ViewCalls.Release)))
            {
                failure = Failure(isView ? "UnmapViewOfFile" : "VirtualFree", lengthBytes, "What is mapped there stays until the process ends.");
            }
        }

        if (failure is not null)
        {
            throw failure;
        }

        lock (Gate)
        {
            CountReturnedUnsynchronized(lengthBytes);
        }
    }

    public override void Dispose()
    {
        lock (Gate)
        {
            IsDisposed = true;
        }
    }

    protected override nint Reserve(long lengthBytes)
    {
        var unit = (nint)PoolProtocol.UnitBytes;
        for (var i = 0; i < MaxTries; i++)
        {
            // Windows aligns to 64 KiB: look for 2 MiB more, then reserve the aligned part alone, unless others are quicker.
            var found = ViewCalls.Allocate(0, (nint)lengthBytes + unit, ViewCalls.Reserve | ViewCalls.TopDown, ViewCalls.NoAccess);
            if (found == 0)
            {
                break;
            }

            var aligned = (found + unit - 1) & ~(unit - 1);
            if (ViewCalls.Free(found, 0, ViewCalls.Release)
                && ViewCalls.Allocate(aligned, (nint)lengthBytes, ViewCalls.Reserve, ViewCalls.NoAccess) == aligned)
            {
                Record(aligned, lengthBytes, isView: false);
                return aligned;
            }
        }

        throw Failure("VirtualAlloc", lengthBytes, "Not enough addresses: lower CapacityBytes.");
    }

    /// <summary>Takes the reservation around a range out of the record.</summary>
    private (nint Address, long LengthBytes) TakeReservation(nint address, long lengthBytes)
    {
        lock (Gate)
        {
            var found = _pieces.FirstOrDefault(
                piece => !piece.Value.IsView && piece.Key <= address && address + (nint)lengthBytes <= piece.Key + (nint)piece.Value.LengthBytes);
            if (found.Key == 0)
            {
                throw new MemorySourceException(
                    "taking addresses", 0, "not reserved", lengthBytes, null, "Another part of this process took the addresses: give the memory back and try again.");
            }

            _pieces.Remove(found.Key);
            return (found.Key, found.Value.LengthBytes);
        }
    }

    private void ReserveAgain(nint address, nint lengthBytes)
    {
        // Where that fails the addresses are somebody else's by now: mapping there is refused.
        if (lengthBytes > 0 && ViewCalls.Allocate(address, lengthBytes, ViewCalls.Reserve, ViewCalls.NoAccess) == address)
        {
            Record(address, lengthBytes, isView: false);
        }
    }

    private void Record(nint address, long lengthBytes, bool isView)
    {
        lock (Gate)
        {
            _pieces.Add(address, (lengthBytes, isView));
        }
    }

    private static MemorySourceException Failure(string operation, long lengthBytes, string remedy)
    {
        var code = Marshal.GetLastPInvokeError();
        return new MemorySourceException(operation, code, $"error {code}", lengthBytes, null, remedy);
    }
}
