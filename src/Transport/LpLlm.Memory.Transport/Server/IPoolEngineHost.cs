using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Models;

namespace LpLlm.Memory.Transport.Server;

/// <summary>A handler whose engine further protocols may serve from, on the same listener.</summary>
internal interface IPoolEngineHost
{
    PoolEngine Engine { get; }

    /// <summary>Its model store; null where it has none.</summary>
    IModelService? Models { get; }
}
