using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace LpLlm.Memory.Sources;

/// <summary>Makes the pages of a fresh mapping resident, on all processors.</summary>
internal static class PagePopulator
{
    /// <summary>Work unit of one thread: long enough to hide the call, a multiple of a huge page, short enough to cancel within ms.</summary>
    private const long ChunkBytes = 64L << 20;

    /// <param name="address">Page-aligned start.</param>
    /// <param name="lengthBytes">A multiple of the page size.</param>
    /// <param name="touchPages">Writes to each page, changing nothing, instead of MADV_POPULATE_WRITE; taken by itself before Linux 5.14.</param>
    /// <param name="collapser">Merges them to huge pages first; null for pages that the kernel chooses.</param>
    /// <param name="cancellationToken">Looked at before every 64 MiB.</param>
    public static void Populate(nint address, long lengthBytes, bool touchPages, PageCollapser? collapser, CancellationToken cancellationToken)
    {
        var chunks = (lengthBytes + ChunkBytes - 1) / ChunkBytes;
        var options = new ParallelOptions { CancellationToken = cancellationToken, MaxDegreeOfParallelism = Environment.ProcessorCount };
        try
        {
            Parallel.For(0, chunks, options, i =>
            {
                var start = i * ChunkBytes;
                var chunk = Math.Min(ChunkBytes, lengthBytes - start);
                collapser?.Collapse(address + (nint)start, chunk);
                PopulateChunk(address + (nint)start, chunk, touchPages);
            });
        }
        catch (AggregateException failures) when (failures.InnerException is MemorySourceException first)
        {
            ExceptionDispatchInfo.Throw(first);
        }
    }

    private static void PopulateChunk(nint address, long lengthBytes, bool touchPages)
    {
        if (!touchPages && Libc.Advise(address, (nint)lengthBytes, Libc.AdvisePopulateWrite) == 0)
        {
            return;
        }

        var error = touchPages ? Errno.EInval : Marshal.GetLastPInvokeError();
        if (error != Errno.EInval)
        {
            throw Errno.Failure(
                "madvise(MADV_POPULATE_WRITE)", error, lengthBytes,
                "The kernel cannot back the range: free memory, or lower InitialBytes or CapacityBytes.");
        }

        Touch(address, lengthBytes);
    }

    private static unsafe void Touch(nint address, long lengthBytes)
    {
        for (long offset = 0; offset < lengthBytes; offset += Environment.SystemPageSize)
        {
            Interlocked.Or(ref *(int*)(address + (nint)offset), 0); // another process may be at work in adopted memory
        }
    }
}
