using System.Globalization;
using System.Numerics;

namespace LpLlm.Memory.TestKit.Replay;

/// <summary>Reads what <c>AddTracing</c> writes, and refuses whatever cannot be replayed faithfully.</summary>
/// <remarks>A last line without a line feed is what a process that died left half-written; it is left out.</remarks>
public sealed class TraceReader
{
    private const string Header = "sequence,time_ns,thread,op,lease,length_bytes,alignment_bytes";
    private const int Columns = 7;
    private const int MaxAlignmentBytes = 2 << 20;

    private readonly string _path;
    private readonly List<TraceEvent> _events = [];
    private readonly Dictionary<int, long> _live = [];
    private int _line;
    private long _sequence;
    private int _lastLease;
    private bool _ended;

    private TraceReader(string path) => _path = path;

    /// <summary>Reads a whole trace; some 40 B of memory an event.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="TraceFormatException">The file is no trace, or events are missing in it; line and column are named.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Trace Read(string path)
    {
        using var text = new StreamReader(path);
        return new TraceReader(path).ReadAll(text);
    }

    private Trace ReadAll(StreamReader text)
    {
        if (ReadLine(text) is not { } header || header != Header)
        {
            throw Error(1, $"this is no trace: the first line must be '{Header}'");
        }

        while (ReadLine(text) is { } line)
        {
            if (_ended)
            {
                throw Error(1, "nothing may follow the line 'end'");
            }

            ReadEvent(line.Split(','));
        }

        return new Trace(_events, _ended);
    }

    /// <summary>A line that ends in a line feed, or null: <see cref="TextReader.ReadLine"/> does not tell such lines from torn ones.</summary>
    private string? ReadLine(StreamReader text)
    {
        _line++;
        var line = text.ReadLine();
        if (line is null || !text.EndOfStream)
        {
            return line;
        }

        text.BaseStream.Seek(-1, SeekOrigin.End);
        return text.BaseStream.ReadByte() == '\n' ? line : null;
    }

    private void ReadEvent(string[] fields)
    {
        if (fields.Length != Columns)
        {
            throw Error(Math.Min(fields.Length, Columns), $"the line has {fields.Length} fields; there must be {Columns}");
        }

        var sequence = Number<long>(fields, 1, 1, long.MaxValue);
        if (sequence != _sequence + 1)
        {
            throw Error(1, sequence > _sequence
                ? $"{sequence - _sequence - 1} events before number {sequence} are missing: the traced pool was faster than the writer; "
                    + "trace again with a larger BufferedEventCount"
                : $"number {sequence} follows {_sequence}");
        }

        _sequence = sequence;
        Number<long>(fields, 2, 0, long.MaxValue);
        var thread = Number(fields, 3, 0, int.MaxValue);
        switch (fields[3])
        {
            case "rent" or "rent_async":
                _events.Add(ReadRent(fields, thread));
                break;
            case "fail":
                _events.Add(new TraceEvent(_sequence, thread, TraceOperation.Fail, 0, ReadLength(fields), ReadAlignment(fields)));
                break;
            case "return" or "return_after":
                _events.Add(ReadReturn(fields, thread));
                break;
            case "end":
                _ended = true;
                break;
            default:
                throw Error(4, $"'{fields[3]}' is no operation; known are rent, rent_async, fail, return, return_after and end");
        }
    }

    private TraceEvent ReadRent(string[] fields, int thread)
    {
        var lease = Number(fields, 5, 1, int.MaxValue);
        if (lease != _lastLease + 1)
        {
            throw Error(5, $"lease {lease} follows lease {_lastLease}; leases are numbered in the order of their rents");
        }

        _lastLease = lease;
        _live.Add(lease, ReadLength(fields));
        return new TraceEvent(_sequence, thread, TraceOperation.Rent, lease, _live[lease], ReadAlignment(fields));
    }

    private TraceEvent ReadReturn(string[] fields, int thread)
    {
        var lease = Number(fields, 5, 1, int.MaxValue);
        if (!_live.Remove(lease, out var length))
        {
            throw Error(5, $"lease {lease} is not out here: {(lease <= _lastLease ? "it was returned before" : "it was not rented before")}");
        }

        return ReadLength(fields) == length
            ? new TraceEvent(_sequence, thread, TraceOperation.Return, lease, length, 0)
            : throw Error(6, $"lease {lease} was rented with {length} B, not {fields[5]}");
    }

    private long ReadLength(string[] fields) => Number<long>(fields, 6, 1, long.MaxValue);

    private int ReadAlignment(string[] fields) => Number(fields, 7, 1, MaxAlignmentBytes) is var alignment && BitOperations.IsPow2(alignment)
        ? alignment
        : throw Error(7, $"'{fields[6]}' is no alignment: a power of two is expected");

    private T Number<T>(string[] fields, int column, T least, T most)
        where T : INumber<T> =>
        T.TryParse(fields[column - 1], NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= least && value <= most
            ? value
            : throw Error(column, $"'{fields[column - 1]}' is not a whole number from {least} to {most}");

    private TraceFormatException Error(int column, string problem) => new(_path, _line, column, problem);
}
