using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Client;

/// <summary>
/// Addresses reserved once (no memory), into which memory files are mapped at addresses of our choice. So the segments of a lease follow each
/// other, and no address ever changes. Where pieces of many lengths come and go, holes may add up to enough and none be long enough: then more
/// addresses are reserved, which cost nothing.
/// </summary>
internal sealed class LinuxAddressRange : AddressRange
{
    // Free pieces by address, none next to another.
    private readonly SortedList<nint, long> _free = [];

    /// <param name="capacityBytes">The most that can be taken at a time; rounded up to 2 MiB.</param>
    /// <exception cref="MemorySourceException">There are not that many addresses.</exception>
    /// <exception cref="PlatformNotSupportedException">Not on Linux.</exception>
    public LinuxAddressRange(long capacityBytes)
        : base(capacityBytes)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw new PlatformNotSupportedException("Memory of a pool server can be mapped on Linux and Windows only: use a local pool here.");
        }

        _free.Add(Reserve(CapacityBytes), CapacityBytes);
    }

    public override void Map(SafeFileHandle file, nint address, long lengthBytes, ulong inode, string endPoint, bool readOnly)
    {
        SegmentFile.Verify(file, lengthBytes, inode, endPoint, readOnly);
        Map(file, address, lengthBytes, readOnly);
    }

    /// <summary>Maps a whole file at an address that was taken.</summary>
    /// <exception cref="MemorySourceException">The system refuses. The addresses must be given back with <see cref="Return"/> all the same.</exception>
    public static void Map(SafeFileHandle file, nint address, long lengthBytes, bool readOnly = false)
    {
        var protection = readOnly ? MemoryCalls.ProtRead : MemoryCalls.ProtReadWrite;
        var mapped = MemoryCalls.Map(
            address, (nint)lengthBytes, protection, MemoryCalls.MapShared | MemoryCalls.MapFixed | MemoryCalls.MapNoReserve, file, 0);
        if (mapped == MemoryCalls.Failed)
        {
            throw Failure("mmap", lengthBytes, "Not enough mappings: raise vm.max_map_count, or use larger segments.");
        }

        // A child must neither see nor keep memory that the server reuses after its parent's death; and gigabytes of weights and other
        // people's prompts do not belong into a core dump. Both are hints: a kernel without them works the same.
        _ = MemoryCalls.Advise(address, (nint)lengthBytes, MemoryCalls.AdviseDontFork);
        _ = MemoryCalls.Advise(address, (nint)lengthBytes, MemoryCalls.AdviseDontDump);
    }

    public override void Return(nint address, long lengthBytes)
    {
        // The reservation replaces the mapping in one step: a gap could become another thread's.
        if (Reserve(address, lengthBytes, MemoryCalls.MapFixed) == MemoryCalls.Failed)
        {
            throw Failure("mmap", lengthBytes, "The mapping stays until the process ends; raise vm.max_map_count.");
        }

        bool disposed;
        lock (Gate)
        {
            disposed = IsDisposed;
            if (!disposed)
            {
                CountReturnedUnsynchronized(lengthBytes);
                AddFreeUnsynchronized(address, lengthBytes);
            }
        }

        if (disposed)
        {
            _ = MemoryCalls.Unmap(address, (nint)lengthBytes);
        }
    }

    /// <summary>Gives the free addresses back to the system; those in use follow when they are returned. Memory in use is never unmapped.</summary>
    public override void Dispose()
    {
        KeyValuePair<nint, long>[] free;
        lock (Gate)
        {
            if (IsDisposed)
            {
                return;
            }

            IsDisposed = true;
            free = [.. _free];
            _free.Clear();
        }

        foreach (var (address, lengthBytes) in free)
        {
            _ = MemoryCalls.Unmap(address, (nint)lengthBytes);
        }
    }

    /// <summary>Reserves 2 MiB more, and gives the ends back that the alignment leaves over.</summary>
    protected override nint Reserve(long lengthBytes)
    {
        var rawBytes = checked(lengthBytes + PoolProtocol.UnitBytes);
        var raw = Reserve(0, rawBytes, fixedFlag: 0);
        if (raw == MemoryCalls.Failed)
        {
            throw Failure("mmap", rawBytes, "Not enough addresses: lower CapacityBytes, or raise ulimit -v.");
        }

        var unit = (nint)PoolProtocol.UnitBytes;
        var start = (raw + unit - 1) & ~(unit - 1);
        var end = start + (nint)lengthBytes;
        UnmapEnd(raw, start - raw);
        UnmapEnd(end, raw + (nint)rawBytes - end);
        return start;
    }

    private static void UnmapEnd(nint address, nint lengthBytes)
    {
        if (lengthBytes > 0)
        {
            _ = MemoryCalls.Unmap(address, lengthBytes);
        }
    }

    private static nint Reserve(nint address, long lengthBytes, int fixedFlag) => MemoryCalls.Map(
        address,
        (nint)lengthBytes,
        MemoryCalls.ProtNone,
        MemoryCalls.MapPrivate | MemoryCalls.MapAnonymous | MemoryCalls.MapNoReserve | fixedFlag,
        -1,
        0);

    private static MemorySourceException Failure(string operation, long lengthBytes, string remedy)
    {
        var code = Marshal.GetLastPInvokeError();
        return new MemorySourceException(operation, code, code == 12 ? "ENOMEM" : $"errno {code}", lengthBytes, null, remedy);
    }

    protected override nint? TakeFreeUnsynchronized(long lengthBytes)
    {
        for (var i = 0; i < _free.Count; i++)
        {
            var (address, free) = (_free.GetKeyAtIndex(i), _free.GetValueAtIndex(i));
            if (free < lengthBytes)
            {
                continue;
            }

            _free.RemoveAt(i);
            if (free > lengthBytes)
            {
                _free.Add(address + (nint)lengthBytes, free - lengthBytes);
            }

            return address;
        }

        return null;
    }

    private void AddFreeUnsynchronized(nint address, long lengthBytes)
    {
        _free.Add(address, lengthBytes);
        var i = _free.IndexOfKey(address);
        MergeUnsynchronized(i);
        if (i > 0)
        {
            MergeUnsynchronized(i - 1);
        }
    }

    /// <summary>Merges a free piece with its successor, if they touch.</summary>
    private void MergeUnsynchronized(int index)
    {
        var (address, lengthBytes) = (_free.GetKeyAtIndex(index), _free.GetValueAtIndex(index));
        if (index + 1 < _free.Count && _free.GetKeyAtIndex(index + 1) == address + (nint)lengthBytes)
        {
            _free.SetValueAtIndex(index, lengthBytes + _free.GetValueAtIndex(index + 1));
            _free.RemoveAt(index + 1);
        }
    }
}
