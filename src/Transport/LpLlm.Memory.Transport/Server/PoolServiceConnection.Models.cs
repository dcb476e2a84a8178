using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Messages;
using LpLlm.Memory.Transport.Models;

namespace LpLlm.Memory.Transport.Server;

/// <summary>Models: opening them to read, looking at them, and bringing them into memory and out of it.</summary>
internal sealed partial class PoolServiceConnection
{
    /// <summary>Less is no time for a load, and a client that polls must not spin.</summary>
    private static readonly TimeSpan LeastLoadWait = TimeSpan.FromSeconds(1);

    private IModelService Models => models ?? throw new PoolFaultException(
        PoolFaultCode.Unimplemented, "This server has no model store: start sllm-store, or open the model with a store in your own process (AddModelStore).");

    private async ValueTask<PoolMessage> OpenModelAsync(OpenModelRequest request, CancellationToken cancellationToken)
    {
        var session = SessionOf(request.Session);
        var id = Requests.Token(request.OpenId, "open_id");
        var use = await LoadingAsync(request.Model, request.TimeoutMs, Models.OpenAsync, cancellationToken).ConfigureAwait(false);
        var (lengthBytes, tensors) = (use.LengthBytes, use.Tensors);
        return Grant(engine.OpenModel(session, id, use), (grant, withPaths) =>
        {
            var reply = new OpenModelReply { LeaseId = grant.LeaseId, LengthBytes = lengthBytes, TensorCount = tensors.Count };
            reply.Segments.AddRange(grant.Segments.Select(granted => Replies.Segment(granted, withPaths)));
            reply.Tensors.AddRange(ModelReplies.Tensors(tensors, first: 0, policy.MaxMessageBytes));
            return reply;
        });
    }

    private PoolMessage CloseModel(CloseModelRequest request)
    {
        engine.CloseModel(SessionOf(request.Session), Requests.Token(request.OpenId, "open_id"));
        return Reply(new CloseModelReply());
    }

    private PoolMessage GetModelIndex(GetModelIndexRequest request)
    {
        var session = SessionOf(request.Session);
        var use = engine.FindUse(session, Requests.Token(request.OpenId, "open_id")) ?? throw EngineFaults.NotFound("open model");
        if (request.First < 0 || request.First > use.Tensors.Count)
        {
            throw new PoolFaultException(PoolFaultCode.OutOfRange, $"first is {request.First}: the model has {use.Tensors.Count} tensors.");
        }

        var reply = new GetModelIndexReply();
        reply.Tensors.AddRange(ModelReplies.Tensors(use.Tensors, request.First, policy.MaxMessageBytes));
        return Reply(reply);
    }

    private PoolMessage ListModels(ListModelsRequest request)
    {
        _ = SessionOf(request.Session);
        return Reply(ModelReplies.List(Models.List(), policy.MaxMessageBytes));
    }

    private async ValueTask<PoolMessage> LoadModelAsync(LoadModelRequest request, CancellationToken cancellationToken)
    {
        _ = SessionOf(request.Session);
        var wasLoaded = Models.List().Any(known => known.Model == request.Model && known.State == ModelReplies.Loaded);
        var model = await LoadingAsync(request.Model, request.TimeoutMs, Models.LoadAsync, cancellationToken).ConfigureAwait(false);
        return Reply(new LoadModelReply { Model = ModelReplies.Summary(model), WasLoaded = wasLoaded });
    }

    private async ValueTask<PoolMessage> UnloadModelAsync(UnloadModelRequest request, CancellationToken cancellationToken)
    {
        _ = SessionOf(request.Session);
        if (!IsAdministrator && !peer.IsThisProcess)
        {
            throw new PoolFaultException(PoolFaultCode.PermissionDenied, "Only root and the server's own user unload models: run as one of them.");
        }

        await LoadingAsync(
            request.Model,
            (long)engine.Settings.MaxWait.TotalMilliseconds,
            async (model, token) =>
            {
                await Models.UnloadAsync(model, token).ConfigureAwait(false);
                return true;
            },
            cancellationToken).ConfigureAwait(false);
        return Reply(new UnloadModelReply());
    }

    /// <summary>Waits for a model's load no longer than the caller, or the server, has patience; the load goes on.</summary>
    private async ValueTask<T> LoadingAsync<T>(
        string model, long timeoutMs, Func<string, CancellationToken, ValueTask<T>> call, CancellationToken cancellationToken)
    {
        var wait = Requests.Wait(timeoutMs, engine.Settings.MaxWait);
        wait = wait > LeastLoadWait ? wait : LeastLoadWait;
        using var deadline = new CancellationTokenSource(wait, time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            return await call(Requests.Model(model), end.Token).ConfigureAwait(false);
        }
        catch (ArgumentException refusal)
        {
            throw FaultCodec.Invalid(refusal.Message);
        }
        catch (ModelStoreException failure)
        {
            throw ModelFaults.ToFault(failure);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new PoolFaultException(
                PoolFaultCode.DeadlineExceeded, $"Model '{model}' is not ready after {wait.TotalSeconds:0.###} s. Ask again, with a longer timeout.");
        }
    }
}
