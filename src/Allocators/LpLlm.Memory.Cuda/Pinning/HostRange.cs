namespace LpLlm.Memory.Cuda;

/// <summary>Host memory that is registered in pieces: all at once, or each at its first use. Thread-safe; no lock is held over a call.</summary>
internal sealed class HostRange
{
    private const int Absent = 0;
    private const int Busy = 1;
    private const int Registered = 2;

    // One piece takes 0.5 ms (16 MiB) to some 40 ms (1 GiB); a driver that takes this long has hung.
    private static readonly TimeSpan LongestRegistration = TimeSpan.FromSeconds(60);

    private readonly HostRegistrar _registrar;
    private readonly long _pieceBytes;
    private readonly int[] _pieces;

    public HostRange(HostRegistrar registrar, nint address, long lengthBytes, long pieceBytes)
    {
        _registrar = registrar;
        _pieceBytes = pieceBytes;
        Address = address;
        LengthBytes = lengthBytes;
        _pieces = new int[(lengthBytes + pieceBytes - 1) / pieceBytes];
    }

    public nint Address { get; }

    public long LengthBytes { get; }

    public nint End => Address + (nint)LengthBytes;

    /// <summary>Registers the piece with that byte, if that has not been done.</summary>
    /// <returns>Bytes from there to the end of the piece.</returns>
    public long Use(nint address)
    {
        var piece = (int)((address - Address) / _pieceBytes);
        if (Volatile.Read(ref _pieces[piece]) != Registered)
        {
            Register(piece);
        }

        return Math.Min((piece + 1) * _pieceBytes, LengthBytes) - (address - Address);
    }

    /// <summary>Unregisters every piece it can, also behind one that it cannot.</summary>
    /// <returns>What was refused.</returns>
    public List<CudaException> Unregister()
    {
        var refusals = new List<CudaException>();
        for (var piece = 0; piece < _pieces.Length; piece++)
        {
            if (Volatile.Read(ref _pieces[piece]) != Registered)
            {
                continue;
            }

            try
            {
                _registrar.Unregister(AddressOf(piece), LengthOf(piece));
                Volatile.Write(ref _pieces[piece], Absent);
            }
            catch (CudaException refusal)
            {
                refusals.Add(refusal);
            }
        }

        return refusals;
    }

    private void Register(int piece)
    {
        switch (Interlocked.CompareExchange(ref _pieces[piece], Busy, Absent))
        {
            case Absent:
                RegisterMine(piece);
                return;
            case Busy:
                WaitForOther(piece);
                return;
        }
    }

    private void RegisterMine(int piece)
    {
        var after = Absent;
        try
        {
            _registrar.Register(AddressOf(piece), LengthOf(piece));
            after = Registered;
        }
        finally
        {
            Volatile.Write(ref _pieces[piece], after);
        }
    }

    /// <summary>Another thread uses the piece for the first time, too; if it was refused, this one tries for itself.</summary>
    private void WaitForOther(int piece)
    {
        if (!SpinWait.SpinUntil(() => Volatile.Read(ref _pieces[piece]) != Busy, LongestRegistration))
        {
            throw new MemorySourceException(
                "cuMemHostRegister", 0, "timeout", LengthOf(piece), limitBytes: null,
                $"Another thread has been registering it for {LongestRegistration.TotalSeconds} s: the driver hangs. Restart the process.");
        }

        Register(piece);
    }

    private nint AddressOf(int piece) => Address + (nint)(piece * _pieceBytes);

    private long LengthOf(int piece) => Math.Min(_pieceBytes, LengthBytes - piece * _pieceBytes);
}
