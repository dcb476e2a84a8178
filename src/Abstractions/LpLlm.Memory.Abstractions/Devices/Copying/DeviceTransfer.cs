namespace LpLlm.Memory.Devices;

/// <summary>The copies of one request: cut into pieces, of which only some are under way at a time. One caller at a time.</summary>
/// <remarks>
/// Pieces, so that a request of gigabytes does not keep the others from the link, and stops within some milliseconds when it is cancelled: what is under
/// way at most takes 4.8 ms at 55 GB/s, and keeps the link busy while a thread that was told of an end comes to its turn. After a failure only <see cref="DrainAsync"/> may follow.
/// </remarks>
internal sealed class DeviceTransfer
{
    /// <summary>The longest copy: 0.6 ms, beside which the 5 us of enqueuing it do not count.</summary>
    public const long PieceBytes = 32L << 20;

    /// <summary>Under way at most.</summary>
    public const long WindowBytes = 8 * PieceBytes;

    /// <summary>Copies under way at most, where they are short: each has an event of the driver's.</summary>
    public const int WindowCount = 256;

    /// <summary>What can be waited for awake: 0.3 ms of the link.</summary>
    private const long AwakeBytes = 16L << 20;

    private readonly DeviceCopier _copier;
    private readonly Queue<(IDeviceFence Fence, long LengthBytes)> _running = [];
    private long _runningBytes;
    private bool _isOver;
    private DeviceCopyLostException? _lost;

    /// <summary>Begins a request, which <see cref="DrainAsync"/> ends.</summary>
    public DeviceTransfer(DeviceCopier copier)
    {
        _copier = copier;
        copier.Enter();
    }

    /// <summary>Enqueues a copy; waits as long as it takes to have no more than the window under way.</summary>
    /// <exception cref="PinnedMemoryException">The device refused.</exception>
    /// <exception cref="DeviceCopyLostException">The device failed under way.</exception>
    /// <exception cref="OperationCanceledException">The token fired; what is under way goes on.</exception>
    public async ValueTask CopyAsync(nint hostAddress, nint deviceAddress, long lengthBytes, CancellationToken cancellationToken)
    {
        for (long done = 0; done < lengthBytes;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var piece = Math.Min(PieceBytes, lengthBytes - done);
            while (_running.Count == WindowCount || _runningBytes > WindowBytes - piece)
            {
                await RetireAsync(cancellationToken).ConfigureAwait(false);
                ThrowIfLost();
            }

            try
            {
                var fence = await _copier.EnqueueAsync(hostAddress + (nint)done, deviceAddress + (nint)done, piece, cancellationToken).ConfigureAwait(false);
                _running.Enqueue((fence, piece));
                _runningBytes += piece;
            }
            catch (DeviceCopyLostException lost)
            {
                _lost = lost;
                throw;
            }

            done += piece;
        }
    }

    /// <summary>
    /// Waits for little without giving up the thread, for whoever has nothing else to do with it: being woken takes 50 to 100 us, by which 8 MiB would take
    /// half as long again. (A server that did so read no further requests meanwhile: copies of 16 MiB lost a tenth of their rate.)
    /// </summary>
    public void WaitAwake()
    {
        if (_runningBytes <= AwakeBytes)
        {
            _copier.Spin(_running.Select(static copy => copy.Fence));
        }
    }

    /// <summary>Ends the request, once or again: waits until nothing is under way. Only then may the memory be used for anything else.</summary>
    /// <remarks>
    /// It has no deadline, because there is nothing to be done but to wait: whoever cannot, leaves this task to a background, with the memory.
    /// </remarks>
    /// <exception cref="DeviceCopyLostException">That will never be known: the memory must stay in use for ever.</exception>
    public async ValueTask DrainAsync()
    {
        while (_running.Count > 0)
        {
            await RetireAsync(CancellationToken.None).ConfigureAwait(false);
        }

        if (!_isOver)
        {
            _isOver = true;
            _copier.Leave();
        }

        ThrowIfLost();
    }

    private async ValueTask RetireAsync(CancellationToken cancellationToken)
    {
        var (fence, lengthBytes) = _running.Peek();
        try
        {
            await fence.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            _lost ??= new DeviceCopyLostException(failure);
        }

        _running.Dequeue();
        _runningBytes -= lengthBytes;
    }

    private void ThrowIfLost()
    {
        if (_lost is not null)
        {
            throw _lost;
        }
    }
}
