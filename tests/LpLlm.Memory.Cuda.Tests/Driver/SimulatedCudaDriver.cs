using System.Collections.Concurrent;

namespace LpLlm.Memory.Cuda.Driver;

/// <summary>
/// A driver in this process: strict as the real one about contexts, registrations and bounds; its work is done a little at each question about
/// an event, streams in any order, so that nothing is done before somebody asks often enough. Two of them are two processes.
/// </summary>
internal sealed unsafe partial class SimulatedCudaDriver(int seed = 1, int deviceCount = 1) : ICudaDriver
{
    public const long CapacityBytes = 1L << 30;

    private const nint FirstContext = 0x1000;

    private static readonly ConcurrentDictionary<long, (SimulatedCudaDriver Owner, nint Address, long LengthBytes)> Exported = new();
    private static long s_lastExport;

    [ThreadStatic]
    private static nint s_context;

    private readonly Lock _gate = new();
    private readonly Random _random = new(seed);
    private readonly Dictionary<nint, Queue<object>> _streams = new() { [0] = new() };
    private readonly Dictionary<nint, Mark?> _events = [];
    private readonly Dictionary<nint, nint> _contexts = []; // of streams and events
    private readonly Dictionary<nint, long> _allocated = [];
    private readonly Dictionary<nint, long> _opened = [];
    private readonly Dictionary<nint, long> _registered = [];
    private nint _lastHandle = 0x100;
    private int _stickyError;

    /// <summary>Calls that are answered with a code instead of being made.</summary>
    public ConcurrentDictionary<string, int> Failures { get; } = new();

    /// <summary>Called before a registration, outside the gate: a test fails it by a code, counts it, or holds it.</summary>
    public Func<nint, long, uint, int>? Registering { get; set; }

    /// <summary>Called before a range is unregistered, outside the gate: a test fails it by a code.</summary>
    public Func<nint, int>? Unregistering { get; set; }

    /// <summary>Called before an event is recorded, outside the gate: a test holds it.</summary>
    public Action? Recording { get; set; }

    /// <summary>While true no work is done, whoever asks.</summary>
    public bool IsHeld { get; set; }

    public int Queries { get; private set; }

    public int EventsMade { get; private set; }

    public int LiveEvents => Under(() => _events.Count);

    public int LiveStreams => Under(() => _streams.Count - 1);

    public int LiveAllocations => Under(() => _allocated.Count + _opened.Count);

    public IReadOnlyDictionary<nint, long> Registered => Under(() => new Dictionary<nint, long>(_registered));

    /// <summary>Streams on which copies were enqueued.</summary>
    public ConcurrentQueue<nint> CopyStreams { get; } = new();

    /// <summary>All work that is enqueued fails, and everything after it.</summary>
    public void BreakDown(int code) => Under(() => _stickyError = code);

    public int Initialize() => Failures.GetValueOrDefault("cuInit");

    public int GetVersion(out int version)
    {
        version = 13000;
        return 0;
    }

    public int GetDeviceCount(out int count)
    {
        count = deviceCount;
        return 0;
    }

    public int GetDevice(int ordinal, out int device)
    {
        device = ordinal;
        return 0;
    }

    public int GetUuid(int device, Span<byte> uuid)
    {
        for (var i = 0; i < uuid.Length; i++)
        {
            uuid[i] = (byte)(device * 16 + i);
        }

        return 0;
    }

    public int GetAttribute(int device, int attribute, out int value)
    {
        value = 1;
        return 0;
    }

    public int RetainPrimaryContext(int device, out nint context)
    {
        context = FirstContext + device;
        return Failures.GetValueOrDefault("cuDevicePrimaryCtxRetain");
    }

    public int GetCurrentContext(out nint context)
    {
        context = s_context;
        return 0;
    }

    public int SetCurrentContext(nint context)
    {
        if (Failures.TryGetValue("cuCtxSetCurrent", out var code))
        {
            return code;
        }

        s_context = context;
        return 0;
    }

    public int CreateStream(out nint stream)
    {
        var made = NextHandle();
        stream = made;
        return Call("cuStreamCreate", () =>
        {
            _streams.Add(made, new());
            _contexts.Add(made, s_context);
        });
    }

    public int DestroyStream(nint stream) => Call("cuStreamDestroy", () =>
    {
        // What is enqueued still runs; only its handle is gone.
        if (_streams.Remove(stream, out var rest) && rest.Count > 0)
        {
            _streams.Add(_lastHandle += 8, rest);
        }
    });

    public int WaitForEvent(nint stream, nint eventHandle) => Enqueue(stream, () => _events[eventHandle]);

    public int CreateEvent(out nint eventHandle)
    {
        var made = NextHandle();
        eventHandle = made;
        return Call("cuEventCreate", () =>
        {
            EventsMade++;
            _events.Add(made, null);
            _contexts.Add(made, s_context);
        });
    }

    public int DestroyEvent(nint eventHandle) => Call("cuEventDestroy", () => _events.Remove(eventHandle));

    public int RecordEvent(nint eventHandle, nint stream)
    {
        Recording?.Invoke();
        var mark = new Mark();
        return Failures.TryGetValue("cuEventRecord", out var code) ? code : Enqueue(stream, () =>
        {
            if (stream != 0 && _contexts[eventHandle] != _contexts[stream])
            {
                throw new KeyNotFoundException(); // the context of the one has no such other
            }

            _events[eventHandle] = mark;
            return new Action(() => mark.IsDone = true);
        });
    }

    public int QueryEvent(nint eventHandle)
    {
        lock (_gate)
        {
            Queries++;
            Advance(_random.Next(4));
            return _stickyError != 0 ? _stickyError
                : !_events.TryGetValue(eventHandle, out var mark) ? CudaError.InvalidHandle
                : mark is null or { IsDone: true } ? CudaError.Success
                : CudaError.NotReady;
        }
    }

    public string? GetErrorName(int code) => $"SIMULATED_{code}";

    public string? GetErrorText(int code) => $"simulated error {code}";

    private static void Move(nint target, nint source, long lengthBytes) =>
        Buffer.MemoryCopy((void*)source, (void*)target, lengthBytes, lengthBytes);

    private static bool Overlap(nint start, long length, nint otherStart, long otherLength) =>
        start < otherStart + (nint)otherLength && otherStart < start + (nint)length;

    private static bool Contains(nint start, long length, nint innerStart, long innerLength) =>
        innerStart >= start && innerStart + (nint)innerLength <= start + (nint)length;

    private int Copy(nint stream, nint host, long hostBytes, nint device, long deviceBytes, Action move)
    {
        CopyStreams.Enqueue(stream);
        lock (_gate)
        {
            var registered = _registered.Where(each => Overlap(each.Key, each.Value, host, hostBytes)).ToList();
            var isWhole = registered.Count == 0 || (registered.Count == 1 && Contains(registered[0].Key, registered[0].Value, host, hostBytes));
            var isThere = _allocated.Concat(_opened).Any(each => Contains(each.Key, each.Value, device, deviceBytes));
            return isWhole && isThere ? Enqueue(stream, () => move) : CudaError.InvalidValue;
        }
    }

    private int Enqueue(nint stream, Func<object?> make)
    {
        lock (_gate)
        {
            if (Check("enqueue") is var code and not 0)
            {
                return code;
            }

            if (!_streams.TryGetValue(stream, out var queue))
            {
                return CudaError.InvalidHandle;
            }

            try
            {
                if (make() is { } step)
                {
                    queue.Enqueue(step);
                }

                return 0;
            }
            catch (KeyNotFoundException) // no such event
            {
                return CudaError.InvalidHandle;
            }
        }
    }

    /// <summary>Takes steps from streams that can go on, chosen at random.</summary>
    private void Advance(int steps)
    {
        while (steps-- > 0 && !IsHeld && _stickyError == 0)
        {
            var ready = _streams.Values.Where(queue => queue.TryPeek(out var next) && next is Action or Mark { IsDone: true }).ToList();
            if (ready.Count == 0)
            {
                return;
            }

            (ready[_random.Next(ready.Count)].Dequeue() as Action)?.Invoke();
        }
    }

    private int Call(string name, Action action)
    {
        lock (_gate)
        {
            if (Check(name) is var code and not 0)
            {
                return code;
            }

            action();
            return 0;
        }
    }

    private int Check(string name) =>
        _stickyError != 0 ? _stickyError
        : Failures.TryGetValue(name, out var code) ? code
        : s_context is < FirstContext or > FirstContext + 16 ? CudaError.InvalidContext
        : 0;

    private nint NextHandle() => Under(() => _lastHandle += 8);

    private T Under<T>(Func<T> read)
    {
        lock (_gate)
        {
            return read();
        }
    }

    private void Under(Action action)
    {
        lock (_gate)
        {
            action();
        }
    }

    /// <summary>A point in a stream's work; in another stream's queue, a wait for it.</summary>
    private sealed class Mark
    {
        public bool IsDone { get; set; }
    }
}
