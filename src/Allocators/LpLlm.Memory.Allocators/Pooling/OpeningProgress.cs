namespace LpLlm.Memory.Pooling;

/// <summary>Makes one progress of that of slabs that become ready side by side. Reports come one at a time, each of more than the one before.</summary>
internal sealed class OpeningProgress(IProgress<PinProgress> progress, long readyBytes, long totalBytes)
{
    private long _readyBytes = readyBytes;
    private long _toldBytes = readyBytes;
    private int _isTelling;

    /// <summary>For one slab, which reports how much of it is ready. What it was rounded up by is not counted.</summary>
    public IProgress<long> OfSlab(long lengthBytes)
    {
        var before = 0L;
        return new DirectProgress(bytes =>
        {
            bytes = Math.Min(bytes, lengthBytes);
            Interlocked.Add(ref _readyBytes, bytes - before);
            before = bytes;
            Tell();
        });
    }

    /// <summary>A receiver that is slow holds up one slab: who comes meanwhile leaves it to that one's thread to tell.</summary>
    private void Tell()
    {
        while (Interlocked.Read(ref _readyBytes) > Interlocked.Read(ref _toldBytes) && Interlocked.Exchange(ref _isTelling, 1) == 0)
        {
            try
            {
                var ready = Interlocked.Read(ref _readyBytes);
                if (ready > _toldBytes)
                {
                    Interlocked.Exchange(ref _toldBytes, ready);
                    progress.Report(new PinProgress(ready, totalBytes));
                }
            }
            finally
            {
                Interlocked.Exchange(ref _isTelling, 0);
            }
        }
    }
}
