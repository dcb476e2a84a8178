namespace LpLlm.Memory.Attention.Tests;

/// <summary>Requests on host memory that take the way over a device, see <see cref="DeviceClient"/>.</summary>
/// <param name="device">The device.</param>
/// <param name="convert">Keys and values lie there as float32 whatever the cache has, so that the manager converts them; else in its type.</param>
public class DevicePath(IMemoryDevice device, bool convert = false) : AttnPath
{
    private readonly List<DeviceClient> _clients = [];

    public override IAttnManager Create(IPinnedMemoryPool pool, AttnManagerOptions options)
    {
        var client = new DeviceClient(new AttnManager(pool, options, device), device, convert);
        _clients.Add(client);
        return client;
    }

    public override void Verify() => _clients.ForEach(client => client.DisposeStreams());
}
