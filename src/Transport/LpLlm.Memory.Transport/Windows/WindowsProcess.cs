using System.Collections.Concurrent;
using System.Runtime.Versioning;
using System.Security.Principal;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Windows;

/// <summary>Another process, as its handle shows it.</summary>
[SupportedOSPlatform("windows")]
internal static class WindowsProcess
{
    /// <summary>One watch for each process, however often it connects: watches outlive connections.</summary>
    private static readonly ConcurrentDictionary<(int ProcessId, long Created), Task> Watches = new();

    /// <summary>When it started, as a file time: with its number, unlike any other process.</summary>
    /// <exception cref="IOException">Windows does not say.</exception>
    public static long ReadCreated(SafeProcessHandle process) =>
        HandleCalls.GetTimes(process, out var created, out _, out _, out _) ? created : throw HandleCalls.Failure("tell when a process started");

    /// <summary>Whom it runs as.</summary>
    /// <exception cref="IOException">Windows does not say.</exception>
    public static SecurityIdentifier? ReadUser(SafeProcessHandle process)
    {
        if (!HandleCalls.OpenToken(process, HandleCalls.TokenQuery, out var token))
        {
            throw HandleCalls.Failure("tell whose a process is");
        }

        using (token)
        {
            using var identity = new WindowsIdentity(token.DangerousGetHandle());
            return identity.User;
        }
    }

    /// <summary>Completes when the process is gone: its handle is signalled after its memory and its handles went.</summary>
    /// <param name="process">May be closed afterwards.</param>
    /// <param name="processId">Its number.</param>
    /// <param name="created">When it started.</param>
    /// <exception cref="IOException">It cannot be watched.</exception>
    public static Task WatchAsync(SafeProcessHandle process, int processId, long created)
    {
        var key = (processId, created);
        if (Watches.TryGetValue(key, out var known))
        {
            return known;
        }

        if (!HandleCalls.Duplicate(HandleCalls.ThisProcess, process, HandleCalls.ThisProcess, out var copy, 0, inherit: false, HandleCalls.SameAccess))
        {
            throw HandleCalls.Failure($"watch process {processId}");
        }

        var exited = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var kept = Watches.GetOrAdd(key, exited.Task);
        if (kept != exited.Task)
        {
            new SafeWaitHandle(copy, ownsHandle: true).Dispose();
            return kept;
        }

        var signal = new ManualResetEvent(initialState: false) { SafeWaitHandle = new SafeWaitHandle(copy, ownsHandle: true) };
        ThreadPool.UnsafeRegisterWaitForSingleObject(
            signal,
            (_, _) =>
            {
                Watches.TryRemove(key, out var _);
                signal.Dispose();
                exited.SetResult();
            },
            state: null,
            Timeout.InfiniteTimeSpan,
            executeOnlyOnce: true);
        return exited.Task;
    }
}
