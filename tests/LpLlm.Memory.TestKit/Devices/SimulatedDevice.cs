using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using FluentAssertions;

namespace LpLlm.Memory.TestKit;

/// <summary>
/// A device whose memory is native host memory and whose streams are loops of their own with seeded random delays: what is enqueued
/// happens late, and work of two streams in any order that was not asked for otherwise. Thread-safe.
/// </summary>
/// <remarks>
/// Two objects of one name stand for the same device seen from two processes: what one exports the other can import, and addresses of one
/// mean nothing to the other. New memory is NaN in every float type. Copies outside live buffers, from freed ones, waits for dead handles
/// and buffers disposed with copies in flight are refused and noted in <see cref="Faults"/>.
/// </remarks>
public sealed class SimulatedDevice : IMemoryDevice
{
    private readonly Lock _gate = new();
    private readonly List<SimulatedBuffer> _buffers = [];
    private readonly List<WeakReference<SimulatedFence>> _fences = [];
    private readonly HashSet<SimulatedStream> _streams = [];
    private readonly ConcurrentQueue<string> _faults = new();
    private readonly ConcurrentQueue<SimulatedOperation> _executed = new();
    private readonly TaskCompletionSource _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly int _seed;
    private readonly long _capacityBytes;
    private SimulatedStream? _default;
    private Exception? _loss;
    private long _usedBytes;
    private long _lastOrdinal;
    private long _doneOperations;
    private int _streamCount;

    /// <summary>Creates a device.</summary>
    /// <param name="name">Its name in configuration; the UUID follows from it.</param>
    /// <param name="seed">Decides the delays.</param>
    /// <param name="capacityBytes">Bytes of its memory, at least 1.</param>
    public SimulatedDevice(string name = "cuda:0", int seed = 1, long capacityBytes = 1L << 30)
    {
        Name = name;
        Uuid = new Guid(SHA256.HashData(Encoding.UTF8.GetBytes(name)).AsSpan(0, 16)).ToString("D");
        _seed = seed;
        _capacityBytes = capacityBytes;
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public string Uuid { get; }

    /// <summary>Ordinals (from 1, over all streams) of the steps that fail when their turn comes; with them fails all that follows on their stream.</summary>
    public HashSet<long> FailingOperations { get; } = [];

    /// <summary>Ordinals (from 1, over all streams) of the steps that are refused when they are enqueued.</summary>
    public HashSet<long> RefusedOperations { get; } = [];

    /// <summary>So many disposals of buffers answer with a refusal, from the next one on.</summary>
    public int RefusedDisposals { get; set; }

    /// <summary>
    /// Called by the stream's loop before each step, which begins when the task has completed: a test sees who runs, and holds a stream
    /// for a while or for ever. It is not waited for once the device is lost.
    /// </summary>
    public Func<SimulatedOperation, Task>? Running { get; set; }

    /// <summary>Sabotage, to show that a test finds a missing wait: streams ignore <c>WaitForEvent</c> and <c>WaitForStream</c>.</summary>
    public bool DropsWaits { get; set; }

    /// <summary>Sabotage, to show that a test finds a fence that is not waited for: every fence is complete as soon as it is recorded.</summary>
    public bool CompletesFencesEarly { get; set; }

    /// <summary>Misuse seen so far, as sentences.</summary>
    public IReadOnlyCollection<string> Faults => _faults;

    /// <summary>The steps that have been done, in that order.</summary>
    public IReadOnlyCollection<SimulatedOperation> Executed => _executed;

    /// <summary>Steps that were enqueued so far.</summary>
    public long LastOrdinal => Interlocked.Read(ref _lastOrdinal);

    /// <summary>Steps that are enqueued and neither done nor dropped because of a failure.</summary>
    public long PendingOperations => LastOrdinal - Interlocked.Read(ref _doneOperations);

    /// <summary>Buffers, allocated or imported, that nobody has disposed.</summary>
    public int LiveBuffers
    {
        get
        {
            lock (_gate)
            {
                return _buffers.Count;
            }
        }
    }

    /// <summary>Streams that nobody has disposed, without the default stream.</summary>
    public int LiveStreams
    {
        get
        {
            lock (_gate)
            {
                return _streams.Count;
            }
        }
    }

    /// <summary>The stream of handle 0. It is the device's and need not be disposed.</summary>
    public IDeviceStream DefaultStream => Default;

    internal SimulatedStream Default
    {
        get
        {
            lock (_gate)
            {
                return _default ??= new SimulatedStream(this, _seed);
            }
        }
    }

    internal Exception? Loss => Volatile.Read(ref _loss);

    /// <inheritdoc/>
    public IDeviceBuffer Allocate(long lengthBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        ThrowIfLost("allocate");
        lock (_gate)
        {
            if (lengthBytes > _capacityBytes - _usedBytes)
            {
                throw SimulatedFailure.Of("allocate", "OUT_OF_MEMORY", lengthBytes, $"{_usedBytes} B of {_capacityBytes} B are in use.");
            }

            _usedBytes += lengthBytes;
            return AddUnsynchronized(new SimulatedAllocation(Uuid, lengthBytes), imported: false);
        }
    }

    /// <inheritdoc/>
    public IDeviceBuffer Import(ReadOnlySpan<byte> handle)
    {
        var allocation = SimulatedBuffer.Open(handle, Uuid, out var problem);
        ThrowIfLost("import");
        if (allocation is null || !allocation.TryUse())
        {
            throw SimulatedFailure.Of("import", "INVALID_HANDLE", 0, $"The handle leads to no live memory of {Name}: {problem}.");
        }

        lock (_gate)
        {
            return AddUnsynchronized(allocation, imported: true);
        }
    }

    /// <inheritdoc/>
    public IDeviceStream CreateStream()
    {
        ThrowIfLost("create a stream");
        lock (_gate)
        {
            var stream = new SimulatedStream(this, _seed * 1000 + ++_streamCount);
            _streams.Add(stream);
            return stream;
        }
    }

    /// <summary>The device falls off the bus: every fence that is not complete fails, and so does every later call.</summary>
    public void Lose()
    {
        SimulatedFence[] pending;
        lock (_gate)
        {
            _loss ??= SimulatedFailure.Of("run", "DEVICE_LOST", 0, $"The test took {Name} away.");
            pending = [.. _fences.Select(fence => fence.TryGetTarget(out var target) ? target : null).OfType<SimulatedFence>()];
        }

        _lost.TrySetResult();
        foreach (var fence in pending)
        {
            fence.Fail(_loss);
        }
    }

    /// <summary>Asserts that nothing was misused, and that every buffer and stream was disposed.</summary>
    public void ShouldBeClean()
    {
        Faults.Should().BeEmpty("nobody may misuse the device");
        LiveBuffers.Should().Be(0, "every device buffer is disposed");
        LiveStreams.Should().Be(0, "every stream is disposed");
    }

    internal long NextOrdinal() => Interlocked.Increment(ref _lastOrdinal);

    internal void NoteExecuted(SimulatedOperation operation) => _executed.Enqueue(operation);

    internal void NoteDone() => Interlocked.Increment(ref _doneOperations);

    internal void ReportFault(string fault) => _faults.Enqueue($"{Name}: {fault}.");

    /// <summary>The live buffer within which a copy stays.</summary>
    internal SimulatedBuffer Resolve(SimulatedCopy copy)
    {
        if (copy.Problem is { } problem)
        {
            Refuse(problem, copy);
        }

        lock (_gate)
        {
            foreach (var buffer in _buffers)
            {
                var offset = copy.DeviceAddress - buffer.Address;
                if (offset >= 0 && offset < buffer.LengthBytes && copy.DeviceSpanBytes <= buffer.LengthBytes - offset)
                {
                    return buffer;
                }
            }
        }

        Refuse($"a copy of {copy.DeviceSpanBytes} B at device address {copy.DeviceAddress} is not within one live buffer", copy);
        return null;
    }

    internal void ThrowIfFreed(SimulatedBuffer buffer, SimulatedCopy copy)
    {
        if (buffer.IsDisposed)
        {
            Refuse($"a copy of {copy.DeviceSpanBytes} B ran after its buffer was disposed", copy);
        }
    }

    internal void Watch(SimulatedFence fence)
    {
        lock (_gate)
        {
            _fences.RemoveAll(static old => !old.TryGetTarget(out var target) || target.Done.IsCompleted);
            _fences.Add(new WeakReference<SimulatedFence>(fence));
        }

        if (Loss is { } loss)
        {
            fence.Fail(loss);
        }
    }

    internal async Task UnlessLostAsync(Task task)
    {
        await Task.WhenAny(task, _lost.Task);
        if (Loss is { } loss)
        {
            throw loss;
        }

        await task;
    }

    internal void Forget(SimulatedBuffer buffer)
    {
        lock (_gate)
        {
            if (_buffers.Remove(buffer) && !buffer.IsImported)
            {
                _usedBytes -= buffer.LengthBytes;
            }
        }
    }

    internal void Forget(SimulatedStream stream)
    {
        lock (_gate)
        {
            _streams.Remove(stream);
        }
    }

    [DoesNotReturn]
    private void Refuse(string fault, SimulatedCopy copy)
    {
        ReportFault(fault);
        throw SimulatedFailure.Of("copy", "INVALID_VALUE", copy.RowBytes, $"On {Name}, {fault}.");
    }

    private SimulatedBuffer AddUnsynchronized(SimulatedAllocation allocation, bool imported)
    {
        var buffer = new SimulatedBuffer(this, allocation, imported);
        _buffers.Add(buffer);
        return buffer;
    }

    private void ThrowIfLost(string operation)
    {
        if (Loss is not null)
        {
            throw SimulatedFailure.Of(operation, "DEVICE_LOST", 0, $"{Name} is lost.");
        }
    }
}
