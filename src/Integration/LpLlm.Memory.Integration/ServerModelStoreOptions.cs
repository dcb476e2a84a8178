using LpLlm.Memory.Server;

namespace LpLlm.Memory;

/// <summary>Options of a pool server's model store, as this process uses it. Fixed once the store exists.</summary>
public sealed class ServerModelStoreOptions
{
    /// <summary>
    /// The server: <c>pipe:///path</c>, <c>grpc://host:port</c> or <c>grpc+unix:///path</c> (both need <c>AddGrpcPoolTransport</c>, and a server
    /// on this host and of this user), or <c>embedded</c> for the one of this process. Required.
    /// </summary>
    public string EndPoint { get; set; } = "";

    /// <summary>Longest time one call to the server may take, connecting included. 1 ms to 24 days. Default 5 s.</summary>
    public TimeSpan RequestTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Longest time for the load of a model that is not in the server's memory yet. 1 s to 24 days. Default 10 min.</summary>
    public TimeSpan LoadTimeout { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Time between attempts to reach a lost server again, doubling up to 16 times as long. 1 ms to 1 day. Default 250 ms.</summary>
    public TimeSpan ReconnectInterval { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How the server names this client to people. At most 128 characters. Default empty: the process's name.</summary>
    public string ClientName { get; set; } = "";

    internal void Validate(ICollection<string> errors)
    {
        PoolEndPoint.Check(errors, nameof(EndPoint), EndPoint);
        PinnedPoolOptions.CheckTime(errors, nameof(RequestTimeout), RequestTimeout, TimeSpan.FromMilliseconds(1));
        PinnedPoolOptions.CheckTime(errors, nameof(LoadTimeout), LoadTimeout, TimeSpan.FromSeconds(1));
        PinnedPoolOptions.CheckTime(errors, nameof(ReconnectInterval), ReconnectInterval, TimeSpan.FromMilliseconds(1));
        if (ReconnectInterval > TimeSpan.FromDays(1))
        {
            errors.Add($"{nameof(ReconnectInterval)} is {ReconnectInterval:c}; it must be at most 1.00:00:00.");
        }

        if (ClientName is null || ClientName.Length > 128)
        {
            errors.Add($"{nameof(ClientName)} is {(ClientName is null ? "null" : $"{ClientName.Length} characters long")}; it must have at most 128.");
        }
    }
}
