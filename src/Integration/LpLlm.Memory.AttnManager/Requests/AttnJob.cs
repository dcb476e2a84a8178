namespace LpLlm.Memory.Attention;

/// <summary>An accepted request and its promise. It is run or taken back, never both, and always completes.</summary>
internal abstract class AttnJob
{
    private int _taken;

    /// <summary>Claims the sequences.</summary>
    protected AttnJob(AttnStep step)
    {
        step.Claim();
        Step = step;
    }

    public AttnStep Step { get; }

    /// <summary>Gives the sequences of a job that never got into the queue back.</summary>
    public void Withdraw()
    {
        if (TryTake())
        {
            Step.Release();
        }
    }

    /// <summary>Takes the request back if it has not begun.</summary>
    public void Cancel(CancellationToken cancellationToken)
    {
        if (TryTake())
        {
            Step.Release();
            SetCanceled(cancellationToken);
        }
    }

    /// <summary>Fails the request if it has not begun.</summary>
    public void Refuse(Exception failure)
    {
        if (TryTake())
        {
            Step.Release();
            SetFailure(failure);
        }
    }

    /// <summary>Whoever gets true owns what becomes of the job.</summary>
    protected bool TryTake() => Interlocked.Exchange(ref _taken, 1) == 0;

    protected abstract void SetCanceled(CancellationToken cancellationToken);

    protected abstract void SetFailure(Exception failure);
}
