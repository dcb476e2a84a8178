namespace LpLlm.Memory.Transport;

/// <summary>A bound end point that accepts connections until it is disposed. Disposal closes all its connections, within 5 s.</summary>
public abstract class PoolListener : IAsyncDisposable
{
    /// <summary>Where clients connect to: with the port that was chosen, where 0 was asked for.</summary>
    public abstract Uri EndPoint { get; }

    /// <summary>Accepts no more connections; those there are go on.</summary>
    public abstract ValueTask StopAcceptingAsync();

    /// <inheritdoc/>
    public abstract ValueTask DisposeAsync();
}
