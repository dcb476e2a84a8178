namespace LpLlm.Memory.Cuda;

/// <summary>All host memory that this library has registered, or will on its first use, by address. Looking up takes no lock.</summary>
internal sealed class HostRanges
{
    private readonly Lock _gate = new();
    private HostRange[] _sorted = [];

    /// <exception cref="InvalidOperationException">A part of it is there already.</exception>
    public void Add(HostRange range)
    {
        lock (_gate)
        {
            var sorted = _sorted;
            var at = FirstBehind(sorted, range.Address);
            if ((at > 0 && sorted[at - 1].End > range.Address) || (at < sorted.Length && sorted[at].Address < range.End))
            {
                throw new InvalidOperationException($"The {range.LengthBytes} B at 0x{range.Address:x}, or a part of them, are pinned already.");
            }

            Volatile.Write(ref _sorted, [.. sorted[..at], range, .. sorted[at..]]);
        }
    }

    /// <summary>Takes out a range that was added.</summary>
    /// <exception cref="InvalidOperationException">There is none of exactly that place and length.</exception>
    public HostRange Remove(nint address, long lengthBytes)
    {
        lock (_gate)
        {
            var sorted = _sorted;
            var at = FirstBehind(sorted, address) - 1;
            if (at < 0 || sorted[at].Address != address || sorted[at].LengthBytes != lengthBytes)
            {
                throw new InvalidOperationException($"The {lengthBytes} B at 0x{address:x} are not pinned, or not in one call.");
            }

            var range = sorted[at];
            Volatile.Write(ref _sorted, [.. sorted[..at], .. sorted[(at + 1)..]]);
            return range;
        }
    }

    /// <summary>A device is about to use the memory: registers its beginning, or all of it, if that has been left to now.</summary>
    /// <returns>How many bytes from the address on, at most <paramref name="lengthBytes"/>, are ready and a single copy may take.</returns>
    /// <exception cref="CudaException">It could not be registered.</exception>
    public long Use(nint address, long lengthBytes)
    {
        var sorted = Volatile.Read(ref _sorted);
        var behind = FirstBehind(sorted, address);
        if (behind > 0 && sorted[behind - 1].End > address)
        {
            return Math.Min(lengthBytes, sorted[behind - 1].Use(address, lengthBytes));
        }

        // Not ours: pageable, or registered by somebody else. The copy may go on up to where ours begins.
        return behind < sorted.Length ? Math.Min(lengthBytes, sorted[behind].Address - address) : lengthBytes;
    }

    /// <summary>Index of the first range that begins behind the address.</summary>
    private static int FirstBehind(HostRange[] sorted, nint address)
    {
        var (low, high) = (0, sorted.Length);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (sorted[middle].Address <= address)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }
}
