using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Models;

namespace LpLlm.Memory.Transport.Server;

/// <summary>
/// A model store on simulated memory: models m0 to m3 of two units each and as many tensors as the test says; loads at once where the engine does. Loads
/// wait while the test says so, and fail with what it says.
/// </summary>
internal sealed class FakeModelService(EngineHarness host) : IModelService
{
    private readonly Dictionary<string, LeaseGrant> _loaded = [];
    private readonly Dictionary<string, int> _uses = [];
    private readonly PoolSession _session = host.OpenStore();

    public int TensorCount { get; set; } = 3;

    /// <summary>What loads wait for.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    public ModelStoreException? Failure { get; set; }

    public bool IsRegistrationRequired => false;

    public IModelReplicas? Replicas => null;

    public int UsesOf(string model)
    {
        lock (_uses)
        {
            return _uses.GetValueOrDefault(model);
        }
    }

    public LeaseGrant Lease(string model) => _loaded[model];

    public ValueTask<long> RegisterAsync(string model, CancellationToken cancellationToken) => throw new NotSupportedException();

    public void StartLoad(string model) => throw new NotSupportedException();

    public ValueTask ConfirmAsync(string model, CancellationToken cancellationToken) => throw new NotSupportedException();

    public async ValueTask<ModelSummary> LoadAsync(string model, CancellationToken cancellationToken)
    {
        await EnsureAsync(model, cancellationToken);
        return List().Single(loaded => loaded.Model == model);
    }

    public async ValueTask<ServedModel> OpenAsync(string model, CancellationToken cancellationToken)
    {
        await EnsureAsync(model, cancellationToken);
        CountUse(model, 1);
        var tensors = Enumerable.Range(0, TensorCount).Select(i => new TensorInfo($"t{i}", i, 1, [1], [1], "torch.uint8")).ToList();
        return new ServedModel(_loaded[model].LeaseId, 3_000_000, tensors, new Use(() => CountUse(model, -1)));
    }

    public ValueTask UnloadAsync(string model, CancellationToken cancellationToken)
    {
        if (UsesOf(model) > 0)
        {
            throw new ModelStoreException(ModelStoreFault.InUse, model, "it is in use.");
        }

        if (!_loaded.Remove(model, out var grant))
        {
            throw new ModelStoreException(ModelStoreFault.NotFound, model, "it is not in memory.");
        }

        host.Engine.Release(_session, grant.LeaseId);
        return ValueTask.CompletedTask;
    }

    public async ValueTask ClearAsync(CancellationToken cancellationToken)
    {
        foreach (var model in _loaded.Keys.ToList())
        {
            await UnloadAsync(model, cancellationToken);
        }
    }

    public IReadOnlyList<ModelSummary> List() =>
        [.. _loaded.Keys.Select(model => new ModelSummary(model, ModelReplies.Loaded, 3_000_000, 3_000_000, UsesOf(model), TimeSpan.FromSeconds(1), ""))];

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>Uses end on the thread that learns of a process's end.</summary>
    private void CountUse(string model, int change)
    {
        lock (_uses)
        {
            _uses[model] = _uses.GetValueOrDefault(model) + change;
        }
    }

    private async Task EnsureAsync(string model, CancellationToken cancellationToken)
    {
        if (model is not (['m', >= '0' and <= '3']))
        {
            throw new ArgumentException($"'{model}' is no model.", nameof(model));
        }

        if (Failure is not null)
        {
            throw Failure;
        }

        await Gate.WaitAsync(cancellationToken);
        if (_loaded.ContainsKey(model))
        {
            return;
        }

        LeaseGrant grant;
        try
        {
            grant = await host.AcquireAsync(_session, 2, single: true, token: cancellationToken);
        }
        catch (PoolFaultException full)
        {
            throw new ModelStoreException(ModelStoreFault.NoRoom, model, full.Message, full);
        }

        grant.Dispose();
        if (!_loaded.TryAdd(model, grant))
        {
            host.Engine.Release(_session, grant.LeaseId); // another call was faster
        }
    }

    private sealed class Use(Action end) : IDisposable
    {
        private Action? _end = end;

        public void Dispose() => Interlocked.Exchange(ref _end, null)?.Invoke();
    }
}
