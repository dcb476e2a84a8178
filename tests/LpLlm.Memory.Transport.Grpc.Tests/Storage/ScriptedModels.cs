using System.Collections.Concurrent;
using LpLlm.Memory.Transport.Models;

namespace LpLlm.Memory.Transport.Grpc.Storage;

/// <summary>A model store that does what the test says: models named <c>m…</c> exist, those named <c>bad…</c> fail to load, loads end when the test lets them.</summary>
internal sealed class ScriptedModels : IModelService
{
    private readonly ConcurrentDictionary<string, bool> _registered = new();
    private readonly ConcurrentDictionary<string, Task> _loads = new();

    public bool IsRegistrationRequired { get; set; }

    public IModelReplicas? Replicas { get; set; }

    /// <summary>What loads wait for.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    public ValueTask<long> RegisterAsync(string model, CancellationToken cancellationToken)
    {
        Check(model);
        _registered[model] = model[0] is 'm' or 'b' ? true : throw new ModelStoreException(ModelStoreFault.NotFound, model, "it has no tensor.data_0.");
        return ValueTask.FromResult(123L);
    }

    public void StartLoad(string model)
    {
        Check(model);
        if (_registered.ContainsKey(model))
        {
            _loads.GetOrAdd(model, LoadAsync);
        }
    }

    public async ValueTask ConfirmAsync(string model, CancellationToken cancellationToken)
    {
        Check(model);
        await Load(model).WaitAsync(cancellationToken);
    }

    public ValueTask<ModelSummary> LoadAsync(string model, CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask<ServedModel> OpenAsync(string model, CancellationToken cancellationToken) => throw new NotSupportedException();

    public async ValueTask UnloadAsync(string model, CancellationToken cancellationToken)
    {
        Check(model);
        await Load(model).WaitAsync(cancellationToken);
        _loads.TryRemove(model, out _);
    }

    public ValueTask ClearAsync(CancellationToken cancellationToken)
    {
        _registered.Clear();
        _loads.Clear();
        return ValueTask.CompletedTask;
    }

    public IReadOnlyList<ModelSummary> List() => [];

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static void Check(string model)
    {
        if (model.Contains("..", StringComparison.Ordinal))
        {
            throw new ArgumentException($"The model path '{model}' is refused.", nameof(model));
        }
    }

    private Task Load(string model) =>
        _loads.GetValueOrDefault(model) ?? throw new ModelStoreException(ModelStoreFault.NotFound, model, "it is not in memory, and no load of it runs.");

    private async Task LoadAsync(string model)
    {
        await Gate;
        if (model[0] == 'b')
        {
            throw new ModelStoreException(ModelStoreFault.Unreadable, model, "the disk failed.");
        }
    }
}
