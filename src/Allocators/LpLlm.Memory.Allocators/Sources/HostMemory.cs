using LpLlm.Memory.Sources.Windows;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Sources;

/// <summary>The one place that turns options into a source of this process's memory.</summary>
internal static class HostMemory
{
    public static IMemorySource CreateSource(HostMemoryOptions options, IHostPinner? pinner, ILogger logger) =>
        new HostMemorySource(HostMemorySettings.From(options), pinner ?? CreatePinner(), logger);

    /// <summary>What page-locks on this operating system.</summary>
    public static IHostPinner CreatePinner() => OperatingSystem.IsWindows() ? new VirtualLockPinner() : new MlockHostPinner();
}
