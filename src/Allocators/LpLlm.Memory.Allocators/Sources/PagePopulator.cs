using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace LpLlm.Memory.Sources;

/// <summary>
/// Makes the pages of a fresh mapping resident, on <see cref="PopulatingThreads"/>, from the front to the back: pieces that are ready can be pinned meanwhile.
/// </summary>
/// <remarks>
/// A device's registration takes one processor 25 ms a GiB, and populating takes sixteen 20: side by side 16 GiB took 0.44 to 0.56 s on an H100's host, one
/// after the other 0.67 to 0.81. That needs short steps, or the last one of a piece keeps the others waiting.
/// </remarks>
internal sealed class PagePopulator : IDisposable
{
    /// <summary>
    /// Work unit of one thread: a huge page. The kernel holds the lock of the process's mappings as long, and whoever pins wants it for itself now and
    /// then: it waits half a step, measured 0.1 ms, and 0.3 ms at 8 MiB, with one thread; some ms with fifteen. Populating takes as long with either.
    /// </summary>
    private const long StepBytes = 2L << 20;

    private const int ManyProcessors = 8;

    private readonly nint _address;
    private readonly long _lengthBytes;
    private readonly long _pieceBytes;
    private readonly bool _touchPages;
    private readonly PageCollapser? _collapser;
    private readonly CancellationToken _cancellationToken;
    private readonly CancellationTokenSource _stop;
    private readonly CountdownEvent[] _pieces;
    private readonly long _stepsPerPiece;
    private readonly long _stepCount;
    private ExceptionDispatchInfo? _failure;
    private long _taken;

    /// <summary>Starts populating.</summary>
    /// <param name="mapping">All of it.</param>
    /// <param name="pieceBytes">What is waited for at a time; a multiple of the page.</param>
    /// <param name="touchPages">Writes to each page, changing nothing, instead of MADV_POPULATE_WRITE; taken by itself before Linux 5.14.</param>
    /// <param name="collapser">Merges them to huge pages first; null for pages that the kernel chooses.</param>
    /// <param name="cancellationToken">Looked at before every 2 MiB.</param>
    public PagePopulator(HostMapping mapping, long pieceBytes, bool touchPages, PageCollapser? collapser, CancellationToken cancellationToken)
    {
        _address = mapping.Address;
        _lengthBytes = mapping.LengthBytes;
        _pieceBytes = pieceBytes;
        _touchPages = touchPages;
        _collapser = collapser;
        _cancellationToken = cancellationToken;
        _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _stepsPerPiece = Steps(pieceBytes);
        _pieces = new CountdownEvent[(_lengthBytes + pieceBytes - 1) / pieceBytes];
        for (var i = 0; i < _pieces.Length; i++)
        {
            _pieces[i] = new CountdownEvent((int)Steps(LengthOf(i)));
        }

        _stepCount = (_pieces.Length - 1) * _stepsPerPiece + _pieces[^1].InitialCount;

        // One processor of many is left to whoever pins: else it waits for the end of a slice, some ms, each time that a piece is ready.
        var processors = Environment.ProcessorCount < ManyProcessors ? Environment.ProcessorCount : Environment.ProcessorCount - 1;
        var threads = (int)Math.Min(processors, _stepCount);
        if (threads > 1)
        {
            PopulatingThreads.Shared.Add(this, threads);
            return;
        }

        while (TryTakeStep() is { } step)
        {
            Populate(step);
        }
    }

    public int PieceCount => _pieces.Length;

    /// <summary>How many threads are at work on it; theirs to keep.</summary>
    public int Workers { get; set; }

    /// <summary>Waits until all pages of a piece are resident.</summary>
    /// <returns>Where it is.</returns>
    /// <exception cref="MemorySourceException">The kernel cannot back the mapping.</exception>
    /// <exception cref="OperationCanceledException">The token fired.</exception>
    public (nint Address, long LengthBytes) Wait(int piece)
    {
        _cancellationToken.ThrowIfCancellationRequested();
        try
        {
            _pieces[piece].Wait(_stop.Token);
        }
        catch (OperationCanceledException)
        {
            Volatile.Read(ref _failure)?.Throw();
            _cancellationToken.ThrowIfCancellationRequested();
            throw;
        }

        return (_address + (nint)(piece * _pieceBytes), LengthOf(piece));
    }

    /// <summary>A step that nobody has taken yet, or null when there is none. One thread at a time asks.</summary>
    public long? TryTakeStep() => _taken < _stepCount && !_stop.IsCancellationRequested ? _taken++ : null;

    /// <summary>Does a step. A failure is told to whoever waits, and ends the work: a thread that ends by an exception ends the process.</summary>
    public void Populate(long step)
    {
        var piece = (int)(step / _stepsPerPiece);
        var offset = step % _stepsPerPiece * StepBytes;
        try
        {
            Populate(_address + (nint)(piece * _pieceBytes + offset), Math.Min(StepBytes, LengthOf(piece) - offset));
            _pieces[piece].Signal();
        }
        catch (Exception failure)
        {
            Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(failure), null);
            _stop.Cancel();
        }
    }

    /// <summary>Stops, and waits some milliseconds until no thread is at work on the mapping.</summary>
    public void Dispose()
    {
        _stop.Cancel();
        PopulatingThreads.Shared.Remove(this);
        Array.ForEach(_pieces, piece => piece.Dispose());
        _stop.Dispose();
    }

    private static long Steps(long lengthBytes) => (lengthBytes + StepBytes - 1) / StepBytes;

    private long LengthOf(int piece) => Math.Min(_pieceBytes, _lengthBytes - piece * _pieceBytes);

    private void Populate(nint address, long lengthBytes)
    {
        _collapser?.Collapse(address, lengthBytes);
        if (!_touchPages && Libc.Advise(address, (nint)lengthBytes, Libc.AdvisePopulateWrite) == 0)
        {
            return;
        }

        var error = _touchPages ? Errno.EInval : Marshal.GetLastPInvokeError();
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
