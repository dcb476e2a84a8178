namespace LpLlm.Memory.Pooling;

/// <summary>A member that fails is passed by until a probe in the background, of one byte, finds that it works again.</summary>
internal sealed partial class HybridPool
{
    private readonly CancellationTokenSource _closing = new();

    // Completed and replaced at each recovery; wakes rents that wait on other members.
    private TaskCompletionSource _recovery = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>
    /// Whether a failure passes the member by. No room is no failure; a disposed member or one that breaks its contract is misuse, and
    /// reaches the caller.
    /// </summary>
    private bool IsUnavailability(PinnedMemoryException failure) =>
        _settings.FallBackOnUnavailability && failure is not PinnedMemoryExhaustedException;

    private void MarkUnavailable(HybridHop hop, PinnedMemoryException failure)
    {
        if (hop.MarkUnavailable(failure))
        {
            AllocatorsLog.MemberUnavailable(_logger, Name, hop.Pool.Name, failure.Message);
            _ = ProbeAsync(hop);
        }
    }

    private async Task ProbeAsync(HybridHop hop)
    {
        try
        {
            do
            {
                await Task.Delay(_settings.RetryInterval, _time, _closing.Token).ConfigureAwait(false);
            }
            while (!await hop.ProbeAsync(_closing.Token).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (_closing.IsCancellationRequested)
        {
            return;
        }

        hop.MarkAvailable();
        AllocatorsLog.MemberRecovered(_logger, Name, hop.Pool.Name);
        var recovery = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Interlocked.Exchange(ref _recovery, recovery).TrySetResult();
    }
}
