namespace LpLlm.Memory.Pooling;

/// <summary>A pool that can take its initial memory before the first rent. The host does this at start.</summary>
internal interface IOpenablePool
{
    string Name { get; }

    Task OpenAsync(IProgress<PinProgress>? progress, CancellationToken cancellationToken);
}
