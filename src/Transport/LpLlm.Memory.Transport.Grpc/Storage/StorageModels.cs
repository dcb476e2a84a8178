using Google.Protobuf.Reflection;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Grpc.Messages.Storage;
using LpLlm.Memory.Transport.Grpc.Server;
using LpLlm.Memory.Transport.Models;

namespace LpLlm.Memory.Transport.Grpc.Storage;

/// <summary>The original's contract, <c>storage.Storage</c>: models. What is OK and what an error is the original's; details say why.</summary>
/// <remarks>
/// No call holds up another: those that wait do so asynchronously, and at most as long as the engine lets anybody wait. Failures of models are INTERNAL, as
/// the original's clients know it; wrong arguments INVALID_ARGUMENT.
/// </remarks>
internal sealed class StorageModels(PoolEngine engine, IModelService? models, StorageSettings settings, TimeProvider time) : IGrpcService
{
    public ServiceDescriptor Descriptor => StorageReflection.Descriptor.Services[0];

    public IEnumerable<KeyValuePair<string, GrpcMethod>> Methods =>
    [
        Method("RegisterModel", GrpcMethod.Unary(RegisterModelRequest.Parser, RegisterAsync)),
        Method("LoadModelAsync", GrpcMethod.Unary(LoadModelRequest.Parser, LoadAsync)),
        Method("ConfirmModel", GrpcMethod.Unary(ConfirmModelRequest.Parser, ConfirmAsync)),
        Method("UnloadModel", GrpcMethod.Unary(UnloadModelRequest.Parser, UnloadAsync)),
        Method("ClearMem", GrpcMethod.Unary(ClearMemRequest.Parser, ClearAsync)),
        Method("GetServerConfig", GrpcMethod.Unary(GetServerConfigRequest.Parser, GetConfigAsync)),
    ];

    private IModelService Models =>
        models ?? throw new PoolFaultException(PoolFaultCode.Unimplemented, "This server has no model store; sllm-store has one.");

    private KeyValuePair<string, GrpcMethod> Method(string name, GrpcMethod method) => new($"/{Descriptor.FullName}/{name}", method);

    private async ValueTask<RegisterModelResponse> RegisterAsync(GrpcConnection connection, RegisterModelRequest request, CancellationToken cancellationToken)
    {
        var store = Models;
        Require(request.ModelPath, "model_path");
        var size = await RunAsync(request.ModelPath, token => store.RegisterAsync(request.ModelPath, token), cancellationToken).ConfigureAwait(false);
        return new RegisterModelResponse { ModelPath = request.ModelPath, ModelSize = size };
    }

    /// <summary>OK means that the load was begun. It ends in <see cref="ConfirmAsync"/> and the log.</summary>
    private async ValueTask<LoadModelResponse> LoadAsync(GrpcConnection connection, LoadModelRequest request, CancellationToken cancellationToken)
    {
        var store = Models;
        Require(request.ModelPath, "model_path");
        if (!store.IsRegistrationRequired)
        {
            await RunAsync(request.ModelPath, token => store.RegisterAsync(request.ModelPath, token), cancellationToken).ConfigureAwait(false);
        }

        switch (request.TargetDeviceType)
        {
            case DeviceType.Cpu:
                Begin(store, request.ModelPath);
                break;
            case DeviceType.Gpu:
                Require(request.ReplicaUuid, "replica_uuid");
                await RunAsync(request.ModelPath, token => ReplicasOf(store).StartAsync(StorageReplicas.Request(request), token), cancellationToken)
                    .ConfigureAwait(false);
                break;
            default:
                throw Unsupported(request.TargetDeviceType, "Models are loaded to CPU or GPU.");
        }

        return new LoadModelResponse { ModelPath = request.ModelPath };
    }

    private async ValueTask<ConfirmModelResponse> ConfirmAsync(GrpcConnection connection, ConfirmModelRequest request, CancellationToken cancellationToken)
    {
        var store = Models;
        Require(request.ModelPath, "model_path");
        Func<CancellationToken, ValueTask> confirm = request.TargetDeviceType switch
        {
            DeviceType.Cpu => token => store.ConfirmAsync(request.ModelPath, token),
            DeviceType.Gpu => token => ReplicasOf(store).ConfirmAsync(request.ModelPath, request.ReplicaUuid, token),
            _ => throw Unsupported(request.TargetDeviceType, "Loads to CPU and GPU are confirmed."),
        };
        await RunAsync(request.ModelPath, confirm, cancellationToken).ConfigureAwait(false);
        return new ConfirmModelResponse { ModelPath = request.ModelPath };
    }

    private async ValueTask<UnloadModelResponse> UnloadAsync(GrpcConnection connection, UnloadModelRequest request, CancellationToken cancellationToken)
    {
        var store = Models;
        Require(request.ModelPath, "model_path");
        if (request.TargetDeviceType != DeviceType.Cpu)
        {
            throw Unsupported(request.TargetDeviceType, "Models are unloaded from CPU; device memory is the client's own.");
        }

        await RunAsync(request.ModelPath, token => store.UnloadAsync(request.ModelPath, token), cancellationToken).ConfigureAwait(false);
        return new UnloadModelResponse { ModelPath = request.ModelPath };
    }

    private async ValueTask<ClearMemResponse> ClearAsync(GrpcConnection connection, ClearMemRequest request, CancellationToken cancellationToken)
    {
        var store = Models;
        await RunAsync("", store.ClearAsync, cancellationToken).ConfigureAwait(false);
        return new ClearMemResponse();
    }

    private ValueTask<GetServerConfigResponse> GetConfigAsync(GrpcConnection connection, GetServerConfigRequest request, CancellationToken cancellationToken) =>
        ValueTask.FromResult(new GetServerConfigResponse
        {
            MemPoolSize = settings.PoolBytes ?? engine.Settings.MaxModelBytes,
            ChunkSize = settings.ChunkBytesOf(engine.Settings),
        });

    private static void Begin(IModelService store, string model)
    {
        try
        {
            store.StartLoad(model);
        }
        catch (ArgumentException refusal)
        {
            throw Invalid(refusal.Message);
        }
    }

    private static IModelReplicas ReplicasOf(IModelService store) => store.Replicas ?? throw new PoolFaultException(
        PoolFaultCode.FailedPrecondition, "This server has no device: load the model to CPU, and map it (OpenModel) or copy it to the device in your own process.");

    private static void Require(string text, string field)
    {
        if (text.Length == 0)
        {
            throw Invalid($"{field} is empty.");
        }
    }

    private static PoolFaultException Invalid(string text) => new(PoolFaultCode.InvalidArgument, text);

    private static PoolFaultException Unsupported(DeviceType type, string text) =>
        new(PoolFaultCode.Unimplemented, $"target_device_type is {type}. {text}");

    private ValueTask<bool> RunAsync(string model, Func<CancellationToken, ValueTask> call, CancellationToken cancellationToken) => RunAsync(
        model,
        async token =>
        {
            await call(token).ConfigureAwait(false);
            return true;
        },
        cancellationToken);

    private async ValueTask<T> RunAsync<T>(string model, Func<CancellationToken, ValueTask<T>> call, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(engine.Settings.MaxWait, time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            return await call(end.Token).ConfigureAwait(false);
        }
        catch (ArgumentException refusal)
        {
            throw Invalid(refusal.Message);
        }
        catch (ModelStoreException failure)
        {
            throw new PoolFaultException(PoolFaultCode.Internal, failure.Message);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new PoolFaultException(
                PoolFaultCode.DeadlineExceeded, $"Model '{model}' is not ready after {engine.Settings.MaxWait.TotalSeconds:0} s; it goes on. Ask again.");
        }
    }
}
