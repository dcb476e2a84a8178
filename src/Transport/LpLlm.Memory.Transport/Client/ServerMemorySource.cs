using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Client;

/// <summary>Memory that a pool server leases to this process, mapped into one address range. The pool above divides it.</summary>
/// <remarks>
/// While the server cannot be reached, <see cref="ReserveAsync"/> fails at once with <see cref="PoolServerUnavailableException"/> and a background
/// task connects anew; memory that was handed out stays mapped and usable, whatever happens to the server.
/// </remarks>
internal sealed class ServerMemorySource : IMemorySource, IAsyncDisposable
{
    public ServerMemorySource(PoolClientOptions options, PoolTransport transport, IHostPinner? pinner, TimeProvider time, ILogger logger) =>
        throw new NotImplementedException($"{options}{transport}{pinner}{time}{logger}");

    public string Name => throw new NotImplementedException();

    public PoolCapabilities Capabilities => throw new NotImplementedException();

    /// <summary>Called when the server asks for memory back, with the bytes it wants; off any lock, one call at a time.</summary>
    public Action<long>? TrimRequested { get; set; }

    public ValueTask<MemoryRegion> ReserveAsync(long lengthBytes, IProgress<long>? progress = null, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    /// <summary>Says goodbye to the server within the request timeout. All regions must have been given back.</summary>
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
