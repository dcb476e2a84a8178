using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Client;

/// <summary>
/// Pins a mapped range in pieces, before it is handed out or in the background. What could not be unpinned may still be used by a device, so
/// that the range has to stay mapped.
/// </summary>
internal sealed class RegionPinning(IHostPinner pinner, nint address, long lengthBytes, long pieceBytes)
{
    private const int NotStarted = 0;
    private const int Running = 1;
    private const int Stopped = 2;

    private readonly List<(nint Address, long LengthBytes)> _pinned = [];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _state;
    private volatile bool _stopping;

    /// <exception cref="MemorySourceException">The system refused; <see cref="Undo"/> is due.</exception>
    /// <exception cref="OperationCanceledException">The token fired; <see cref="Undo"/> is due.</exception>
    public void Pin(IProgress<long>? progress, CancellationToken cancellationToken)
    {
        for (long at = 0; at < lengthBytes;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            at += PinPiece(at);
            progress?.Report(at);
        }
    }

    /// <summary>
    /// Leaves it to each part's first use by a device, where the pinner sees those; else pins in the background, in order, until all is pinned,
    /// the system refuses, or <see cref="Undo"/> is called.
    /// </summary>
    /// <returns>Whether every part is pinned when a device uses it, so that the range has the pinner's capabilities for a device.</returns>
    public bool Start(ILogger logger)
    {
        if (pinner.TryPinOnUse(address, lengthBytes))
        {
            _pinned.Add((address, lengthBytes));
            return true;
        }

        StartInBackground(logger);
        return false;
    }

    private void StartInBackground(ILogger logger) => _ = Task.Run(() =>
    {
        if (Interlocked.CompareExchange(ref _state, Running, NotStarted) != NotStarted)
        {
            return;
        }

        try
        {
            for (long at = 0; at < lengthBytes && !_stopping;)
            {
                at += PinPiece(at);
            }
        }
        catch (Exception refusal) // nobody waits for this task: the log is its answer
        {
            TransportLog.LazyPinFailed(logger, refusal);
        }
        finally
        {
            _ended.SetResult();
        }
    });

    /// <summary>Unpins every piece it can; waits for at most the one that is being pinned, 1 ms for 16 MiB.</summary>
    /// <returns>What could not be unpinned.</returns>
    public List<Exception> Undo()
    {
        _stopping = true;
        if (Interlocked.CompareExchange(ref _state, Stopped, NotStarted) == Running)
        {
            _ended.Task.GetAwaiter().GetResult();
        }

        var failures = new List<Exception>();
        _pinned.RemoveAll(piece =>
        {
            try
            {
                pinner.Unpin(piece.Address, piece.LengthBytes);
                return true;
            }
            catch (Exception failure)
            {
                failures.Add(failure);
                return false;
            }
        });
        return failures;
    }

    private long PinPiece(long at)
    {
        var piece = Math.Min(pieceBytes, lengthBytes - at);
        pinner.Pin(address + (nint)at, piece);
        _pinned.Add((address + (nint)at, piece));
        return piece;
    }
}
