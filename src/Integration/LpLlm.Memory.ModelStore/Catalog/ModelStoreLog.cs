using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Models;

/// <summary>Log messages of the catalog; ids 1300 to 1349, never renumbered.</summary>
internal static partial class ModelStoreLog
{
    [LoggerMessage(1300, LogLevel.Information, "Model '{Model}' is loaded: {LengthBytes} B in {Milliseconds:0} ms ({GigabytesPerSecond:0.00} GB/s).")]
    public static partial void Loaded(ILogger logger, string model, long lengthBytes, double milliseconds, double gigabytesPerSecond);

    [LoggerMessage(1301, LogLevel.Warning, "A load failed. {Problem}")]
    public static partial void LoadFailed(ILogger logger, string problem, Exception? failure);

    [LoggerMessage(1302, LogLevel.Information, "The load of model '{Model}' was given up: nobody waits for it any more.")]
    public static partial void LoadCancelled(ILogger logger, string model);

    [LoggerMessage(1303, LogLevel.Information, "Model '{Model}' was evicted: {LengthBytes} B for others.")]
    public static partial void Evicted(ILogger logger, string model, long lengthBytes);
}
