using System.Diagnostics;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Wrappers.Tracing;

/// <summary>The thread that turns buffered events into lines of the file. It numbers events and leases, so that rents need not.</summary>
/// <remarks>
/// It looks every 5 ms, when the default buffer holds what 13 million events a second leave, so rents signal nobody. A process that
/// dies loses what it did not hand to the system yet: some 10 ms of events, and perhaps half a line; readers allow for both.
/// </remarks>
internal sealed class TraceWriter : IDisposable
{
    private const int ChunkBytes = 64 << 10;
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(30);

    private readonly string _poolName;
    private readonly TracingOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly TraceBuffer _buffer;
    private readonly FileStream _file;
    private readonly Thread _thread;
    private readonly ManualResetEventSlim _stop = new();
    private readonly Dictionary<nint, long> _leases = [];
    private readonly byte[] _chunk = new byte[ChunkBytes];
    private readonly long _started;
    private int _chunkLength;
    private long _written;
    private long _sequence;
    private long _lastLease;
    private bool _lossWasLogged;
    private volatile bool _closed;
    private TraceException? _failure;

    /// <exception cref="TraceException">The file cannot be created.</exception>
    public TraceWriter(string poolName, TracingOptions options, ILogger logger, TimeProvider time)
    {
        _poolName = poolName;
        _options = options;
        _logger = logger;
        _time = time;
        _buffer = new TraceBuffer(options.BufferedEventCount);
        _started = time.GetTimestamp();
        _file = Open(poolName, options.Path);
        _thread = new Thread(Run) { IsBackground = true, Name = $"Trace of pool {poolName}" };
        _thread.Start();
    }

    /// <summary>Notes an event that happens now on this thread. Some 40 ns; never blocks, allocates or throws.</summary>
    public void Add(TracedOperation operation, nint address, long lengthBytes, int alignmentBytes)
    {
        if (!_closed)
        {
            _buffer.TryAdd(new TraceRecord(
                operation, Environment.CurrentManagedThreadId, _time.GetTimestamp(), address, lengthBytes, alignmentBytes));
        }
    }

    /// <summary>Writes all that is buffered and closes the file. The second time is a no-op.</summary>
    /// <exception cref="TraceException">The trace is not whole: a write failed.</exception>
    public void Dispose()
    {
        if (_stop.IsSet)
        {
            return;
        }

        _stop.Set();
        if (!_thread.Join(StopTimeout))
        {
            throw new TraceException(
                _poolName, _options.Path, $"the file system did not answer within {StopTimeout.TotalSeconds:0} s; the last lines are missing");
        }

        if (_failure is not null)
        {
            throw _failure;
        }
    }

    private static FileStream Open(string poolName, string path)
    {
        try
        {
            return new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        }
        catch (Exception refusal) when (refusal is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new TraceException(poolName, path, $"cannot create the file: {refusal.Message}", refusal);
        }
    }

    private void Run()
    {
        try
        {
            Append(TraceFormat.Header);
            bool stopping;
            do
            {
                stopping = _stop.Wait(Interval);
                Drain();
                Flush();
            }
            while (!stopping && !_closed);
            Finish();
        }
        catch (Exception refusal) when (refusal is IOException or UnauthorizedAccessException)
        {
            // The pool goes on without its trace. Said once here, and again to whoever disposes the pool.
            _failure = new TraceException(_poolName, _options.Path, $"cannot write: {refusal.Message}", refusal);
            AllocatorsLog.TraceFailed(_logger, _failure, _poolName, _options.Path);
        }
        finally
        {
            _closed = true;
            _file.Dispose();
        }
    }

    private void Drain()
    {
        if (_buffer.TakeLost() is > 0 and var lost)
        {
            _sequence += lost;
            if (!_lossWasLogged)
            {
                _lossWasLogged = true;
                AllocatorsLog.TraceLostEvents(_logger, _poolName, _options.Path, lost, _options.BufferedEventCount);
            }
        }

        while (!_closed && _buffer.TryTake(out var record))
        {
            Write(record);
        }
    }

    /// <summary>The last line, which takes the last number: losses since the last event show as a gap before it.</summary>
    private void Finish()
    {
        _closed = true;
        _sequence += _buffer.TakeLost();
        WriteLine(new TraceRecord(TracedOperation.End, Environment.CurrentManagedThreadId, _time.GetTimestamp(), 0, 0, 0), lease: null);
        Flush();
    }

    private void Write(in TraceRecord record)
    {
        if (_written + _chunkLength + (2 * TraceFormat.MaxLineBytes) > _options.MaxBytes)
        {
            _closed = true;
            AllocatorsLog.TraceFull(_logger, _poolName, _options.Path, _options.MaxBytes);
            return;
        }

        WriteLine(record, record.Operation switch
        {
            TracedOperation.Rent or TracedOperation.RentAsync => _leases[record.Address] = ++_lastLease,
            TracedOperation.Return or TracedOperation.ReturnAfter => _leases.Remove(record.Address, out var lease) ? lease : null,
            _ => null,
        });
    }

    private void WriteLine(in TraceRecord record, long? lease)
    {
        if (_chunkLength + TraceFormat.MaxLineBytes > ChunkBytes)
        {
            Flush();
        }

        var nanoseconds = (long)_time.GetElapsedTime(_started, record.Timestamp).TotalNanoseconds;
        _chunkLength += TraceFormat.Write(_chunk.AsSpan(_chunkLength), ++_sequence, nanoseconds, record, lease);
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        Debug.Assert(_chunkLength + bytes.Length <= ChunkBytes, "The header stands at the beginning of a chunk.");
        bytes.CopyTo(_chunk.AsSpan(_chunkLength));
        _chunkLength += bytes.Length;
    }

    private void Flush()
    {
        _file.Write(_chunk, 0, _chunkLength);
        _written += _chunkLength;
        _chunkLength = 0;
    }
}
