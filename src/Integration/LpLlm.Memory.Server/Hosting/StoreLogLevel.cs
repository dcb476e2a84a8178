using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Daemon.Hosting;

/// <summary>$LOG_LEVEL, as the original reads it: names of Python's levels, DEBUG without one. The names of .NET's do as well.</summary>
internal static class StoreLogLevel
{
    /// <exception cref="InvalidOperationException">There is no such level.</exception>
    public static LogLevel Parse(string? text) => text?.ToUpperInvariant() switch
    {
        null or "" or "DEBUG" => LogLevel.Debug,
        "TRACE" => LogLevel.Trace,
        "INFO" or "INFORMATION" => LogLevel.Information,
        "WARN" or "WARNING" => LogLevel.Warning,
        "ERROR" => LogLevel.Error,
        "CRITICAL" or "FATAL" => LogLevel.Critical,
        _ => throw new InvalidOperationException($"LOG_LEVEL is '{text}'; DEBUG, INFO, WARNING, ERROR or CRITICAL is expected."),
    };
}
