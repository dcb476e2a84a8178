namespace LpLlm.Memory.Attention;

/// <summary>A request whose tensors lie on the device. Each stage is one call; a failure in any of them ends the job and is its own.</summary>
internal sealed class DeviceJob(AttnDeviceRequest request, AttnStep step, CancellationToken cancellationToken) : AttnJob(step)
{
    private readonly TaskCompletionSource<IDeviceFence> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly DeviceStaging _staging = new(request, step);
    private PinnedLease? _inputs;
    private PinnedLease? _result;
    private IFence? _copies;
    private Exception? _refusal;

    public Task<IDeviceFence> Task => _completion.Task;

    /// <summary>First stage: rents, and enqueues the copies of the inputs behind the producer.</summary>
    /// <remarks>
    /// A refusal in the middle leaves copies under way: the job goes on to the next stage all the same, which waits for them before it ends it.
    /// </remarks>
    /// <returns>Whether there is more to do.</returns>
    public bool TryCopyIn(IPinnedMemoryPool pool, IDeviceStream stream)
    {
        if (!TryTake())
        {
            return false;
        }

        try
        {
            Step.Begin();
            _inputs = pool.Rent(_staging.TotalBytes);
        }
        catch (Exception failure)
        {
            End(failure);
            return false;
        }

        try
        {
            EnqueueCopies(stream, _inputs.Address);
            _copies = stream.Record();
        }
        catch (Exception refusal)
        {
            _refusal = refusal;
            _copies = stream.RecordAfterFailure();
        }

        return true;
    }

    /// <summary>Second stage: waits for the copies, then computes into a block of its own.</summary>
    /// <param name="pool">Gives the block.</param>
    /// <param name="runner">Does the arithmetic.</param>
    /// <param name="stop">Fires when copies are to be waited for no longer.</param>
    /// <returns>Whether there is more to do.</returns>
    public async ValueTask<bool> TryComputeAsync(IPinnedMemoryPool pool, AttnRunner runner, CancellationToken stop)
    {
        if (await _copies!.WaitForEndAsync(stop).ConfigureAwait(false) is { } failure)
        {
            End(_refusal ?? failure, _copies);
            return false;
        }

        if (_refusal is not null)
        {
            End(_refusal);
            return false;
        }

        if (cancellationToken.IsCancellationRequested)
        {
            ReleaseAll(behind: null);
            SetCanceled(cancellationToken);
            return false;
        }

        try
        {
            _result = pool.Rent(Step.QueryElements * KvCodec.BytesOf(request.Result.ElementType));
            runner.Run(CreateBatch(_inputs!.Address, _result.Address));
        }
        catch (Exception own)
        {
            End(own);
            return false;
        }

        _inputs.Dispose();
        _inputs = null;
        return true;
    }

    /// <summary>Third stage: enqueues the copy of the result, orders the consumer behind it, and only then appends the tokens.</summary>
    /// <param name="stream">Where the copy is enqueued.</param>
    /// <param name="stop">Fires when copies are to be waited for no longer.</param>
    /// <returns>The fence behind the result, which the caller has too; null when the job has failed.</returns>
    public async ValueTask<IDeviceFence?> TryCopyOutAsync(IDeviceStream stream, CancellationToken stop)
    {
        IDeviceFence fence;
        try
        {
            stream.CopyToDevice(_result!.Address, request.Result.Address, _result.LengthBytes);
            fence = stream.Record();
            if (request.ConsumerStream is { } consumer)
            {
                stream.MakeStreamWait(consumer);
            }
        }
        catch (Exception refusal)
        {
            // The copy may be under way: the caller may not have its memory back, nor the pool this block, before it has ended.
            var copy = stream.RecordAfterFailure();
            await copy.WaitForEndAsync(stop).ConfigureAwait(false);
            _result!.ReturnAfter(copy);
            _result = null;
            End(refusal);
            return null;
        }

        _result.ReturnAfter(fence);
        Step.Commit();
        Step.Release();
        _completion.SetResult(fence);
        return fence;
    }

    protected override void SetCanceled(CancellationToken cancellationToken) => _completion.SetCanceled(cancellationToken);

    protected override void SetFailure(Exception failure) => _completion.SetException(failure);

    private void EnqueueCopies(IDeviceStream stream, nint inputs)
    {
        if (request.ReadyEvent is { } ready)
        {
            stream.WaitForEvent(ready);
        }

        if (request.ProducerStream is { } producer)
        {
            stream.WaitForStream(producer);
        }

        var layout = Step.Layout;
        stream.CopyToHost(request.Query.Address, inputs, _staging.QueryBytes);
        Copy(request.Key.Address, _staging.KeyBytes, _staging.KeyOffset, layout.KeyOffset(Step.Layer, 0));
        Copy(request.Value.Address, _staging.ValueBytes, _staging.ValueOffset, layout.ValueOffset(Step.Layer, 0));

        void Copy(nint source, long stagedBytes, long stagedOffset, long pageOffset)
        {
            if (stagedBytes == 0)
            {
                KvCopyIn.Enqueue(stream, Step, source, pageOffset);
            }
            else
            {
                stream.CopyToHost(source, inputs + (nint)stagedOffset, stagedBytes);
            }
        }
    }

    private AttnBatch CreateBatch(nint inputs, nint result) => new(
        Step,
        new TypedPointer(inputs, request.Query.ElementType),
        new TypedPointer(_staging.KeyBytes == 0 ? 0 : inputs + (nint)_staging.KeyOffset, request.Key.ElementType),
        new TypedPointer(_staging.ValueBytes == 0 ? 0 : inputs + (nint)_staging.ValueOffset, request.Value.ElementType),
        new TypedPointer(result, request.Result.ElementType));

    private void End(Exception failure, IFence? behind = null)
    {
        ReleaseAll(behind);
        SetFailure(failure);
    }

    private void ReleaseAll(IFence? behind)
    {
        _inputs?.Return(behind);
        _result?.Return(behind);
        Step.Release(behind);
    }
}
