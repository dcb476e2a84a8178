namespace LpLlm.Memory.Models;

/// <summary>The reads of one load. Members that are not said to be thread-safe belong to the <see cref="ReadPool"/>'s lock.</summary>
/// <param name="parts">What is to be read, at least one.</param>
/// <param name="reader">Reads a part.</param>
/// <param name="pieces">Gets each part that was read.</param>
/// <param name="priority">Asked before each part: the priority may rise while the load runs.</param>
internal sealed class ReadJob(IReadOnlyList<ReadPart> parts, PartReader reader, PieceProgress pieces, Func<RentPriority> priority)
{
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Exception? _failure;
    private int _taken;
    private int _reading;

    /// <summary>Ends when no thread touches the memory any more, whether all came or the first failure ended it. Thread-safe.</summary>
    public Task Completion => _completion.Task;

    public RentPriority Priority => priority();

    public bool HasMore => _failure is null && _taken < parts.Count;

    public bool IsOver => _reading == 0 && !HasMore;

    public ReadPart Take()
    {
        _reading++;
        return parts[_taken++];
    }

    public void Return(Exception? failure)
    {
        _reading--;
        _failure ??= failure;
    }

    public void Stop(Exception failure) => _failure ??= failure;

    /// <summary>Reads a part. Thread-safe, called without the lock.</summary>
    public void Read(in ReadPart part, BounceBuffer bounce)
    {
        reader.Read(part, bounce);
        pieces.Add(new LoadedPiece(part.ModelOffsetBytes, part.LengthBytes));
    }

    /// <summary>Tells whoever waits; called without the lock, when it is over. Thread-safe; the second time is a no-op.</summary>
    public void Complete()
    {
        if (_failure is null)
        {
            _completion.TrySetResult();
        }
        else
        {
            _completion.TrySetException(_failure);
        }
    }
}
