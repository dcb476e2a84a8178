using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Tests;

/// <summary>A private folder for sockets, and pools over a daemon there; gone with this.</summary>
internal sealed class ServerFolder : IDisposable
{
    private readonly List<ServiceProvider> _providers = [];

    public string Folder { get; } = Directory.CreateTempSubdirectory("lpllm-store-").FullName;

    public string Socket => Path.Combine(Folder, "pool.sock");

    /// <summary>A pool of this process over the daemon at <see cref="Socket"/>, by default of 4 MiB.</summary>
    public IPinnedMemoryPool CreatePool(string? endPoint = null, long capacityBytes = 4 << 20, long? initialBytes = null) =>
        Create(endPoint, capacityBytes, initialBytes).GetRequiredService<IPinnedMemoryPool>();

    /// <summary>A pool of 16 MiB that takes nothing at first.</summary>
    public IServerPool CreateServerPool(string endPoint) => Create(endPoint, 16 << 20, 0).GetRequiredService<IServerPool>();

    public void Dispose()
    {
        foreach (var provider in _providers)
        {
            provider.Dispose();
        }

        Directory.Delete(Folder, recursive: true);
    }

    private ServiceProvider Create(string? endPoint, long capacityBytes, long? initialBytes)
    {
        var services = new ServiceCollection();
        services.AddServerPinnedPool(o =>
        {
            (o.EndPoint, o.CapacityBytes, o.SlabBytes, o.InitialBytes) = (endPoint ?? $"pipe://{Socket}", capacityBytes, 2 << 20, initialBytes);
            (o.ClientName, o.ReconnectInterval, o.DisposeTimeout) = ("tester", TimeSpan.FromMilliseconds(20), TimeSpan.Zero);
        });
        services.AddGrpcPoolTransport();
        var provider = services.BuildServiceProvider();
        _providers.Add(provider);
        return provider;
    }
}
