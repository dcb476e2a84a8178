namespace LpLlm.Memory.Attention.Tests;

/// <summary>A pool, managers over it, and at the end of each test the proof that every lease went back.</summary>
public abstract class AttnTestBase : IAsyncLifetime
{
    /// <summary>Bounds every wait of the tests.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    private readonly List<IAttnManager> _managers = [];
    private AttnPath? _path;

    protected FakePool Pool { get; set; } = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var manager in _managers)
        {
            await manager.DisposeAsync().AsTask().WaitAsync(Deadline);
        }

        Pool.LiveLeases.Should().Be(0, "every test gives every lease back");
        _path?.Verify();
    }

    protected IAttnManager CreateManager(Action<AttnManagerOptions>? configure = null)
    {
        var options = new AttnManagerOptions { Parallelism = 2 };
        configure?.Invoke(options);
        var manager = (_path ??= CreatePath()).Create(Pool, options);
        _managers.Add(manager);
        return manager;
    }

    /// <summary>How requests reach the managers; asked for once a test.</summary>
    protected virtual AttnPath CreatePath() => new HostPath();

    protected static KvCacheShape Shape(
        int kvHeads = 2, int headDim = 8, KvElementType type = KvElementType.Float32, int layers = 1) =>
        new() { LayerCount = layers, KvHeadCount = kvHeads, HeadDim = headDim, ElementType = type };
}
