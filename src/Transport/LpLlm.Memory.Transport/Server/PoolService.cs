using LpLlm.Memory.Transport.Engine;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Server;

/// <summary>Turns messages into calls of the engine. One for all listeners of a server.</summary>
internal sealed class PoolService(PoolEngine engine, PoolServicePolicy policy, ILogger logger) : IPoolConnectionHandler
{
    public IPoolConnection Accept(PoolPeer peer) => throw new NotImplementedException($"{engine}{policy}{logger}");
}
