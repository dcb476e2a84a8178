using LpLlm.Memory.Models;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Engine;

namespace LpLlm.Memory.Daemon.Models;

/// <summary>Memory of models out of the pool server's engine, so that models and leases have one budget: a session of its own, one lease a model.</summary>
/// <remarks>One segment, whatever the length: opening a model takes the same time whatever its size, and there is nothing to put together.</remarks>
internal sealed class EngineModelMemory : IModelMemory
{
    /// <summary>For memory that is being zeroed or freed by now: some 2 s a GiB at worst, for models of 100 GiB.</summary>
    private static readonly TimeSpan PendingWait = TimeSpan.FromMinutes(5);

    private readonly PoolEngine _engine;

    public EngineModelMemory(PoolEngine engine)
    {
        _engine = engine;
        Session = engine.Open(new SessionOptions
        {
            ClientName = "model store",
            IsWatched = true, // ends with this process, and so with the engine
            IsThisProcess = true,
            IsPrivileged = true,
            HoldsModels = true,
        });
    }

    public PoolSession Session { get; }

    /// <summary>Does not wait for others' leases: whether a model is evicted instead is for the catalog to say, at once.</summary>
    public async ValueTask<ModelAllocation> AllocateAsync(string model, long lengthBytes, CancellationToken cancellationToken)
    {
        try
        {
            return await AcquireAsync(model, lengthBytes, TimeSpan.Zero, cancellationToken).ConfigureAwait(false);
        }
        catch (PoolFaultException refusal) when (FaultCodec.DataOf(refusal).Cause == nameof(ExhaustionCause.Pending))
        {
            // Nobody has it any more.
        }
        catch (PoolFaultException refusal)
        {
            throw Explain(refusal, model, lengthBytes);
        }

        try
        {
            return await AcquireAsync(model, lengthBytes, PendingWait, cancellationToken).ConfigureAwait(false);
        }
        catch (PoolFaultException refusal)
        {
            throw Explain(refusal, model, lengthBytes);
        }
    }

    private async Task<EngineModelAllocation> AcquireAsync(string model, long lengthBytes, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var options = new AcquireOptions
        {
            LengthBytes = lengthBytes,
            RequestId = Token.Create(),
            SingleSegment = true,
            Timeout = timeout,
            Name = model.Length <= PoolProtocol.MaxTextLength ? model : $"…{model[^(PoolProtocol.MaxTextLength - 1)..]}",
        };
        return new EngineModelAllocation(_engine, Session, await _engine.AcquireAsync(Session, options, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>
    /// What another model's end would not help is told by a cause that is not transient: a model longer than all that models may have, or a machine
    /// that has less memory than the server was promised.
    /// </summary>
    private Exception Explain(PoolFaultException refusal, string model, long lengthBytes)
    {
        if (refusal.Code != PoolFaultCode.ResourceExhausted)
        {
            return refusal.Code is PoolFaultCode.Unavailable or PoolFaultCode.NotFound
                ? new ModelStoreException(ModelStoreFault.NoRoom, model, refusal.Message, refusal)
                : refusal;
        }

        var cause = FaultCodec.DataOf(refusal).Cause == nameof(ExhaustionCause.NoMemory) || lengthBytes > _engine.Settings.MaxModelBytes
            ? new MemorySourceException("lease for a model", 0, "RESOURCE_EXHAUSTED", lengthBytes, _engine.Settings.MaxModelBytes, refusal.Message, refusal)
            : (Exception)refusal;
        return new ModelStoreException(ModelStoreFault.NoRoom, model, refusal.Message, cause);
    }
}
