using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.TestKit;

/// <summary>Sends everything a host logs to one <see cref="CollectingLogger"/>.</summary>
public sealed class CollectingLoggerProvider(CollectingLogger logger) : ILoggerProvider
{
    public ILogger CreateLogger(string categoryName) => logger;

    public void Dispose()
    {
    }
}
