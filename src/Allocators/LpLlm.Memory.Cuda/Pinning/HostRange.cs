namespace LpLlm.Memory.Cuda;

/// <summary>
/// Host memory that is registered at its first use, in slices: neighbours that one use reaches for the first time are one registration, a run.
/// Thread-safe; no lock is held over a call.
/// </summary>
internal sealed class HostRange
{
    private const int Absent = 0;
    private const int Busy = -1;

    // As IHostPinner.Pin: what the driver is asked for at a time.
    private const long LongestRunBytes = 1L << 30;

    // A run takes 0.5 ms (16 MiB) to some 40 ms (1 GiB); a driver that takes this long has hung.
    private static readonly TimeSpan LongestRegistration = TimeSpan.FromSeconds(60);

    private readonly HostRegistrar _registrar;
    private readonly long _sliceBytes;

    // Of each slice, the slice behind its run, which is 1 at least. So a copy knows how far it may go by one read.
    private readonly int[] _runEnds;

    public HostRange(HostRegistrar registrar, nint address, long lengthBytes, long sliceBytes)
    {
        _registrar = registrar;
        _sliceBytes = sliceBytes;
        Address = address;
        LengthBytes = lengthBytes;
        _runEnds = new int[SliceBehind(lengthBytes)];
    }

    public nint Address { get; }

    public long LengthBytes { get; }

    public nint End => Address + (nint)LengthBytes;

    /// <summary>
    /// Registers the slice with that byte, if that has not been done, and with it those behind it that the use reaches and nobody has used: one
    /// registration takes less time than many, and the driver refuses a copy that leaves one.
    /// </summary>
    /// <returns>Bytes from there to the end of the registration, which may be less, or more, than <paramref name="lengthBytes"/>.</returns>
    public long Use(nint address, long lengthBytes)
    {
        var offset = address - Address;
        var slice = (int)(offset / _sliceBytes);
        var end = Volatile.Read(ref _runEnds[slice]);
        if (end is Absent or Busy)
        {
            end = Register(slice, SliceBehind(offset + Math.Min(lengthBytes, LengthBytes - offset)));
        }

        return OffsetOf(end) - offset;
    }

    /// <summary>Unregisters every run it can, also behind one that it cannot. Nobody uses the range meanwhile.</summary>
    /// <returns>What was refused.</returns>
    public List<CudaException> Unregister()
    {
        var refusals = new List<CudaException>();
        for (var slice = 0; slice < _runEnds.Length;)
        {
            var end = Volatile.Read(ref _runEnds[slice]);
            if (end is Absent or Busy)
            {
                slice++;
                continue;
            }

            try
            {
                _registrar.Unregister(Address + (nint)OffsetOf(slice), OffsetOf(end) - OffsetOf(slice));
                Mark(slice, end, Absent);
            }
            catch (CudaException refusal)
            {
                refusals.Add(refusal);
            }

            slice = end;
        }

        return refusals;
    }

    /// <returns>The slice behind the run with that slice.</returns>
    private int Register(int slice, int usedEnd)
    {
        while (true)
        {
            var end = Interlocked.CompareExchange(ref _runEnds[slice], Busy, Absent);
            switch (end)
            {
                case Absent:
                    return RegisterRun(slice, usedEnd);
                case Busy:
                    WaitForOther(slice); // if that one is refused, this thread tries for itself
                    break;
                default:
                    return end;
            }
        }
    }

    /// <summary>The first slice is claimed. Those behind it are taken only if they are free: a thread that holds slices waits for nobody.</summary>
    private int RegisterRun(int slice, int usedEnd)
    {
        var furthest = (int)Math.Min(usedEnd, slice + LongestRunBytes / _sliceBytes);
        var end = slice + 1;
        while (end < furthest && Interlocked.CompareExchange(ref _runEnds[end], Busy, Absent) == Absent)
        {
            end++;
        }

        var after = Absent;
        try
        {
            _registrar.Register(Address + (nint)OffsetOf(slice), OffsetOf(end) - OffsetOf(slice));
            after = end;
        }
        finally
        {
            Mark(slice, end, after);
        }

        return end;
    }

    private void WaitForOther(int slice)
    {
        if (!SpinWait.SpinUntil(() => Volatile.Read(ref _runEnds[slice]) != Busy, LongestRegistration))
        {
            throw new MemorySourceException(
                "cuMemHostRegister", 0, "timeout", OffsetOf(slice + 1) - OffsetOf(slice), limitBytes: null,
                $"Another thread has been registering it for {LongestRegistration.TotalSeconds} s: the driver hangs. Restart the process.");
        }
    }

    /// <summary>From behind: whoever waits for the first slice of a run that was refused finds the others free.</summary>
    private void Mark(int slice, int end, int runEnd)
    {
        for (var i = end - 1; i >= slice; i--)
        {
            Volatile.Write(ref _runEnds[i], runEnd);
        }
    }

    /// <summary>The last slice may be a shorter one.</summary>
    private long OffsetOf(int slice) => Math.Min(slice * _sliceBytes, LengthBytes);

    private int SliceBehind(long offset) => (int)((offset + _sliceBytes - 1) / _sliceBytes);
}
