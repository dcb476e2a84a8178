namespace LpLlm.Memory.Pooling;

/// <summary>Makes one progress of that of slabs that become ready side by side. Reports come one at a time, each of more than the one before.</summary>
internal sealed class OpeningProgress(IProgress<PinProgress> progress, long readyBytes, long totalBytes)
{
    private readonly Lock _gate = new();
    private long _readyBytes = readyBytes;

    /// <summary>For one slab, which reports how much of it is ready.</summary>
    public IProgress<long> OfSlab()
    {
        var before = 0L;
        return new DirectProgress(bytes =>
        {
            lock (_gate)
            {
                _readyBytes += bytes - before;
                before = bytes;
                progress.Report(new PinProgress(_readyBytes, totalBytes));
            }
        });
    }
}
