using LpLlm.Memory.Models;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Models;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Daemon.Models;

/// <summary>Makes the daemon's model store from the command line's wishes.</summary>
internal sealed class ModelServiceFactory(ModelCatalogSettings settings, ILoggerFactory loggers, TimeProvider? time = null, IDeviceSet? devices = null) : IModelServiceFactory
{
    public IModelService Create(PoolEngine engine) => new ModelService(
        engine,
        settings,
        time ?? TimeProvider.System,
        loggers.CreateLogger("LpLlm.Memory.ModelStore"),
        devices);
}
