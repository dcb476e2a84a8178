namespace LpLlm.Memory.Wrappers.Leaks;

/// <summary>A lease's bytes with the guards around them. The patterns are those of the C runtimes' debug heaps.</summary>
/// <param name="Address">First byte of the lease.</param>
/// <param name="LengthBytes">Length of the lease.</param>
/// <param name="GuardBytes">Length of each guard.</param>
internal readonly unsafe record struct GuardedBlock(nint Address, long LengthBytes, long GuardBytes)
{
    private const byte GuardByte = 0xFD;
    private const byte PoisonByte = 0xDD;
    private const int PieceBytes = 1 << 30;

    public void SetGuards()
    {
        Fill(-GuardBytes, GuardBytes, GuardByte);
        Fill(LengthBytes, GuardBytes, GuardByte);
    }

    public long? FindUnderrun() => Find(-GuardBytes, GuardBytes, GuardByte);

    public long? FindOverrun() => Find(LengthBytes, GuardBytes, GuardByte);

    public void Poison() => Fill(-GuardBytes, LengthBytes + (2 * GuardBytes), PoisonByte);

    public long? FindWriteAfterPoison() => Find(-GuardBytes, LengthBytes + (2 * GuardBytes), PoisonByte);

    private void Fill(long offsetBytes, long lengthBytes, byte value)
    {
        for (long done = 0; done < lengthBytes; done += PieceBytes)
        {
            Piece(offsetBytes, lengthBytes, done).Fill(value);
        }
    }

    /// <summary>Offset of the first byte that is not the value, from the lease's first byte.</summary>
    private long? Find(long offsetBytes, long lengthBytes, byte value)
    {
        for (long done = 0; done < lengthBytes; done += PieceBytes)
        {
            var found = Piece(offsetBytes, lengthBytes, done).IndexOfAnyExcept(value);
            if (found >= 0)
            {
                return offsetBytes + done + found;
            }
        }

        return null;
    }

    private Span<byte> Piece(long offsetBytes, long lengthBytes, long done) =>
        new((byte*)Address + offsetBytes + done, (int)Math.Min(PieceBytes, lengthBytes - done));
}
