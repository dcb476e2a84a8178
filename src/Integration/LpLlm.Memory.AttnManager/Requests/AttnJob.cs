namespace LpLlm.Memory.Attention;

/// <summary>An accepted request and its promise. It is computed or taken back, never both, and always completes.</summary>
internal sealed class AttnJob
{
    private readonly TaskCompletionSource<PinnedTensor<float>> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _taken;

    private AttnJob(AttnRequest request, AttnJobRow[] rows)
    {
        Request = request;
        Rows = rows;
    }

    public AttnRequest Request { get; }

    public AttnJobRow[] Rows { get; }

    public int TokenCount => Rows[^1].FirstToken + Rows[^1].TokenCount;

    public KvLayout Layout => ((KvCache)Rows[0].Sequence.Cache).Layout;

    public Task<PinnedTensor<float>> Task => _completion.Task;

    /// <summary>Claims the sequences of all rows, or of none.</summary>
    public static AttnJob Accept(AttnRequest request, AttnJobRow[] rows)
    {
        var claimed = 0;
        try
        {
            foreach (var row in rows)
            {
                row.Sequence.Claim();
                claimed++;
            }
        }
        finally
        {
            if (claimed < rows.Length)
            {
                Release(rows.AsSpan(0, claimed));
            }
        }

        return new AttnJob(request, rows);
    }

    /// <summary>Gives the sequences of a job that never got into the queue back.</summary>
    public void Withdraw()
    {
        if (TryTake())
        {
            Release(Rows);
        }
    }

    /// <summary>Takes the request back if it has not begun.</summary>
    public void Cancel(CancellationToken cancellationToken)
    {
        if (TryTake())
        {
            Release(Rows);
            _completion.TrySetCanceled(cancellationToken);
        }
    }

    /// <summary>Computes the job unless it was taken back. Any failure becomes the job's own; none gets out.</summary>
    public void Run(Func<AttnJob, PinnedTensor<float>> compute)
    {
        if (!TryTake())
        {
            return;
        }

        PinnedTensor<float> result = default;
        Exception? failure = null;
        try
        {
            result = ComputeAndRelease(compute);
        }
        catch (Exception exception)
        {
            failure = exception;
        }

        // After the release: whoever awaits the task may submit the same sequences at once.
        if (failure is null)
        {
            _completion.SetResult(result);
        }
        else
        {
            _completion.SetException(failure);
        }
    }

    private PinnedTensor<float> ComputeAndRelease(Func<AttnJob, PinnedTensor<float>> compute)
    {
        PinnedTensor<float> result = default;
        var released = false;
        try
        {
            try
            {
                foreach (var row in Rows)
                {
                    row.Sequence.Begin();
                }

                result = compute(this);
            }
            finally
            {
                Release(Rows);
            }

            released = true;
            return result;
        }
        finally
        {
            if (!released)
            {
                result.Dispose();
            }
        }
    }

    private static void Release(ReadOnlySpan<AttnJobRow> rows)
    {
        foreach (var row in rows)
        {
            row.Sequence.Release();
        }
    }

    private bool TryTake() => Interlocked.Exchange(ref _taken, 1) == 0;
}
