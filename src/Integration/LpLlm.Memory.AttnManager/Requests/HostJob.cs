namespace LpLlm.Memory.Attention;

/// <summary>A request whose tensors lie in host memory: pages, the result's block, the arithmetic, and only then the new lengths.</summary>
internal sealed class HostJob(AttnRequest request, AttnStep step) : AttnJob(step)
{
    private readonly TaskCompletionSource<PinnedTensor<float>> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<PinnedTensor<float>> Task => _completion.Task;

    /// <summary>Computes the job unless it was taken back. Any failure becomes the job's own; none gets out.</summary>
    public void Run(IPinnedMemoryPool pool, AttnRunner runner)
    {
        if (!TryTake())
        {
            return;
        }

        PinnedTensor<float> result = default;
        Exception? failure = null;
        try
        {
            result = ComputeAndRelease(pool, runner);
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

    protected override void SetCanceled(CancellationToken cancellationToken) => _completion.SetCanceled(cancellationToken);

    protected override void SetFailure(Exception failure) => _completion.SetException(failure);

    private PinnedTensor<float> ComputeAndRelease(IPinnedMemoryPool pool, AttnRunner runner)
    {
        PinnedTensor<float> result = default;
        var done = false;
        try
        {
            try
            {
                Step.Begin();
                result = pool.RentTensor<float>(Step.TokenCount, Step.QueryHeadCount, Step.Layout.Shape.HeadDim);
                Compute(runner, result);
                Step.Commit();
            }
            finally
            {
                Step.Release();
            }

            done = true;
            return result;
        }
        finally
        {
            if (!done)
            {
                result.Dispose();
            }
        }
    }

    private unsafe void Compute(AttnRunner runner, PinnedTensor<float> result)
    {
        // Pinning also finds out, before anything is written, that a caller's memory has been returned to its pool.
        using var query = request.Query.Pin();
        using var key = request.Key.Pin();
        using var value = request.Value.Pin();
        runner.Run(new AttnBatch(
            Step, Float32((nint)query.Pointer), Float32((nint)key.Pointer), Float32((nint)value.Pointer), Float32(result.Lease.Address)));
    }

    private static TypedPointer Float32(nint address) => new(address, KvElementType.Float32);
}
