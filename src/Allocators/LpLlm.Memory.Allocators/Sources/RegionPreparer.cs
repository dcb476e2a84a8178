namespace LpLlm.Memory.Sources;

/// <summary>Populates and page-locks a fresh mapping in pieces, so that it can be cancelled, reports progress and never asks for too much at once.</summary>
internal static class RegionPreparer
{
    /// <summary>Largest piece: one registration of 512 GiB or more fails on GPU drivers, and a call this long cannot be cancelled.</summary>
    public const long PieceBytes = 1L << 30;

    /// <returns>Whether the range is pinned; false only when <paramref name="allowPageable"/> let a refusal pass.</returns>
    public static bool Prepare(
        nint address,
        long lengthBytes,
        IHostPinner pinner,
        Action<MemorySourceException>? allowPageable,
        bool touchPages,
        IProgress<long>? progress,
        CancellationToken cancellationToken)
    {
        long pinned = 0, populated = 0;
        var pinning = true;
        try
        {
            while (populated < lengthBytes)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var piece = Math.Min(PieceBytes, lengthBytes - populated);
                PagePopulator.Populate(address + (nint)populated, piece, touchPages, cancellationToken);
                if (pinning)
                {
                    pinning = TryPin(pinner, address + (nint)populated, piece, allowPageable);
                    pinned += pinning ? piece : 0;
                }

                populated += piece;
                progress?.Report(populated);
            }
        }
        catch
        {
            Unpin(pinner, address, pinned);
            throw;
        }

        if (!pinning)
        {
            // All or nothing: half of a region page-locked would be a promise nobody can use.
            Unpin(pinner, address, pinned);
        }

        return pinning;
    }

    public static void Unpin(IHostPinner pinner, nint address, long lengthBytes)
    {
        for (long at = 0; at < lengthBytes; at += PieceBytes)
        {
            pinner.Unpin(address + (nint)at, Math.Min(PieceBytes, lengthBytes - at));
        }
    }

    private static bool TryPin(IHostPinner pinner, nint address, long lengthBytes, Action<MemorySourceException>? allowPageable)
    {
        try
        {
            pinner.Pin(address, lengthBytes);
            return true;
        }
        catch (MemorySourceException refusal) when (allowPageable is not null)
        {
            allowPageable(refusal);
            return false;
        }
    }
}
