using LpLlm.Memory.Transport;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Server;

/// <summary>The way from an end point, as options write it, to its transport.</summary>
internal static class PoolEndPointTransports
{
    /// <param name="provider">The host's services.</param>
    /// <param name="owner">Whose end point it is, for people.</param>
    /// <param name="text">The end point.</param>
    /// <exception cref="InvalidOperationException">There is no transport for it, or no embedded server.</exception>
    public static PoolTransport Find(IServiceProvider provider, string owner, string text)
    {
        var transport = provider.GetRequiredService<PoolTransports>().Get(PoolEndPoint.Parse(text));
        if (!PoolEndPoint.IsEmbedded(text))
        {
            return transport;
        }

        return provider.GetService<PoolServer>() is { } server
            ? new EmbeddedTransport(server, transport)
            : throw new InvalidOperationException(
                $"{owner}: EndPoint is '{text}', and this host has no pool server; call AddPoolServer, or name a server's end point.");
    }

    /// <summary>How a client is named that has no name of its own.</summary>
    public static string DefaultClientName(string part)
    {
        var process = AppDomain.CurrentDomain.FriendlyName; // the program's, where the process is just "dotnet"
        return $"{process[..Math.Min(process.Length, 60)]}/{part}";
    }
}
