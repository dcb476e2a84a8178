using System.Diagnostics;

namespace LpLlm.Memory.Devices;

/// <summary>The streams of one device for one direction, shared by all who copy. Thread-safe.</summary>
/// <remarks>
/// A stream is not thread-safe, and each is a caller's own for as long as one enqueuing takes, some microseconds; the copies of several callers then
/// run side by side. Two streams keep the link busy while one of them changes from a piece to the next.
/// </remarks>
internal sealed class DeviceCopier(IMemoryDevice device, CopyDirection direction) : IDisposable
{
    public const int StreamCount = 2;

    private static readonly TimeSpan LongestSpin = TimeSpan.FromMilliseconds(0.5);

    private readonly SemaphoreSlim _turns = new(StreamCount);
    private readonly Lock _gate = new();
    private readonly Queue<IDeviceStream> _free = [];
    private int _made;
    private int _requests;
    private bool _disposed;

    public CopyDirection Direction => direction;

    /// <summary>Enqueues one copy behind those that came before it on the same stream.</summary>
    /// <returns>Completes when the copy has been made; before that neither memory may be touched or given back.</returns>
    /// <exception cref="PinnedMemoryException">The device refused; nothing was enqueued.</exception>
    /// <exception cref="DeviceCopyLostException">It was enqueued, and the device cannot tell when it is done.</exception>
    public async ValueTask<IDeviceFence> EnqueueAsync(nint hostAddress, nint deviceAddress, long lengthBytes, CancellationToken cancellationToken)
    {
        await _turns.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var stream = Take();
            try
            {
                if (direction == CopyDirection.ToDevice)
                {
                    stream.CopyToDevice(hostAddress, deviceAddress, lengthBytes);
                }
                else
                {
                    stream.CopyToHost(deviceAddress, hostAddress, lengthBytes);
                }

                return Record(stream);
            }
            finally
            {
                Return(stream);
            }
        }
        finally
        {
            _turns.Release();
        }
    }

    /// <summary>A request begins.</summary>
    public void Enter() => Interlocked.Increment(ref _requests);

    /// <summary>A request is over.</summary>
    public void Leave() => Interlocked.Decrement(ref _requests);

    /// <summary>
    /// Waits for copies without giving up the processor; not for long, and only for a request that has the link to itself: where several do, one can as well
    /// wait asleep while the others copy.
    /// </summary>
    public void Spin(IEnumerable<IDeviceFence> copies)
    {
        var started = Stopwatch.GetTimestamp();
        foreach (var copy in copies)
        {
            while (!copy.IsCompleted)
            {
                if (Volatile.Read(ref _requests) > 1 || Stopwatch.GetElapsedTime(started) > LongestSpin)
                {
                    return;
                }

                Thread.SpinWait(20);
            }
        }
    }

    /// <summary>Gives the streams back. No copy may be running.</summary>
    public void Dispose()
    {
        List<IDeviceStream> free;
        lock (_gate)
        {
            _disposed = true;
            free = [.. _free];
            _free.Clear();
        }

        free.ForEach(stream => stream.Dispose());
    }

    private static IDeviceFence Record(IDeviceStream stream)
    {
        try
        {
            return stream.Record();
        }
        catch (PinnedMemoryException refusal)
        {
            throw new DeviceCopyLostException(refusal);
        }
    }

    /// <summary>The one that rested longest; a turn is held, so one is free or may be made.</summary>
    private IDeviceStream Take()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_made == StreamCount && _free.TryDequeue(out var free))
            {
                return free;
            }

            _made++;
        }

        try
        {
            return device.CreateStream();
        }
        catch
        {
            lock (_gate)
            {
                _made--;
            }

            throw;
        }
    }

    private void Return(IDeviceStream stream)
    {
        lock (_gate)
        {
            if (!_disposed)
            {
                _free.Enqueue(stream);
                return;
            }
        }

        stream.Dispose();
    }
}
