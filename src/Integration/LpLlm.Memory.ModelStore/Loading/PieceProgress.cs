using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace LpLlm.Memory.Models;

/// <summary>
/// The pieces of one load in the order in which they came, for any number of readers at their own pace. Each load has a new one, so that
/// nobody can take an earlier load's pieces for this one's (U5). Thread-safe.
/// </summary>
/// <param name="count">Pieces that will come.</param>
internal sealed class PieceProgress(int count)
{
    private readonly Lock _gate = new();
    private readonly LoadedPiece[] _pieces = new LoadedPiece[count];
    private TaskCompletionSource _changed = New();
    private Exception? _failure;
    private int _count;
    private long _loadedBytes;

    /// <summary>Bytes that are in memory.</summary>
    public long LoadedBytes => Interlocked.Read(ref _loadedBytes);

    public void Add(LoadedPiece piece)
    {
        lock (_gate)
        {
            _pieces[_count++] = piece; // Some 10,000 a second at most: a piece is megabytes.
            _loadedBytes += piece.LengthBytes;
        }

        Signal();
    }

    /// <summary>No more pieces will come; readers get the failure behind the last one.</summary>
    public void Fail(Exception failure)
    {
        Volatile.Write(ref _failure, failure);
        Signal();
    }

    /// <summary>All pieces from the first on, each once, as they come; ends behind the last byte of the model.</summary>
    /// <exception cref="ModelStoreException">The load failed (U6: no reader waits for what will never come).</exception>
    /// <exception cref="OperationCanceledException">The token fired, or the load was cancelled.</exception>
    public async IAsyncEnumerable<LoadedPiece> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        for (var next = 0; next < count;)
        {
            var changed = Volatile.Read(ref _changed).Task; // before looking, so that what comes in between is not missed
            var failure = Volatile.Read(ref _failure);
            for (var come = Volatile.Read(ref _count); next < come; next++)
            {
                yield return _pieces[next];
            }

            if (next < count)
            {
                ThrowIf(failure);
                await changed.WaitAsync(cancellationToken);
            }
        }
    }

    private static void ThrowIf(Exception? failure)
    {
        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void Signal() => Interlocked.Exchange(ref _changed, New()).SetResult();
}
