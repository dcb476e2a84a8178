using LpLlm.Memory.Transport.Client;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Server;

/// <summary>Puts the client of a server's model store together from its options.</summary>
internal static class ServerModelStoreFactory
{
    public static IModelStore Create(IServiceProvider provider)
    {
        var options = provider.GetRequiredService<IOptions<ServerModelStoreOptions>>().Value;
        return new ServerModelStore(
            new ModelClientOptions
            {
                Connection = new PoolClientOptions
                {
                    EndPoint = PoolEndPoint.Parse(options.EndPoint),
                    ClientName = options.ClientName.Length > 0 ? options.ClientName : PoolEndPointTransports.DefaultClientName("models"),
                    CapacityBytes = 0,
                    RequestTimeout = options.RequestTimeout,
                    ReconnectInterval = options.ReconnectInterval,
                },
                LoadTimeout = options.LoadTimeout,
            },
            PoolEndPointTransports.Find(provider, "Server model store", options.EndPoint),
            provider.GetService<TimeProvider>() ?? TimeProvider.System,
            PoolLogging.CreateLogger(provider, "ModelStore"));
    }
}
