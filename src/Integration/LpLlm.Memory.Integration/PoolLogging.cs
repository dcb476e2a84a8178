using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory;

/// <summary>Loggers of pools and wrappers; a container without logging gets none.</summary>
internal static class PoolLogging
{
    public static ILogger CreateLogger(IServiceProvider provider, string category) =>
        (provider.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance).CreateLogger($"LpLlm.Memory.{category}");
}
