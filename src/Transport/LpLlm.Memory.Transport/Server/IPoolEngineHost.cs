using LpLlm.Memory.Transport.Engine;

namespace LpLlm.Memory.Transport.Server;

/// <summary>A handler whose engine further protocols may serve from, on the same listener.</summary>
internal interface IPoolEngineHost
{
    PoolEngine Engine { get; }
}
