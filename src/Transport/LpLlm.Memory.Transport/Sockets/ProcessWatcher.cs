using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Sockets;

/// <summary>One thread that waits for processes to end, however many are watched.</summary>
internal static class ProcessWatcher
{
    /// <summary>Completes when the process of the pidfd is gone. Owns the descriptor, and closes it then.</summary>
    /// <param name="process">A pidfd.</param>
    /// <param name="cancellationToken">Ends the watch; the task stays incomplete.</param>
    public static Task WatchAsync(SafeFileHandle process, CancellationToken cancellationToken) => throw new NotImplementedException();
}
