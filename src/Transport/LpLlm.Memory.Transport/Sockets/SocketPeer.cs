using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Sockets;

/// <summary>Asks the kernel who is at the other end of a Unix socket, and watches that process.</summary>
internal static class SocketPeer
{
    /// <summary>
    /// One watch for each process, however often it connects: watches outlive connections, so a client that connects in a loop would
    /// otherwise use up the server's descriptors.
    /// </summary>
    private static readonly ConcurrentDictionary<(int ProcessId, ulong StartTime), Task> Watches = new();

    /// <summary>
    /// Credentials (SO_PEERCRED) and a watch on the process (SO_PEERPIDFD; before Linux 6.5 pidfd_open, checked against the start time). For
    /// anything but a Unix socket only the address is known: the same call there answers pid 0 and uid -1.
    /// </summary>
    /// <exception cref="SocketException">The socket is closed.</exception>
    /// <exception cref="IOException">The process cannot be watched: no descriptor is left.</exception>
    public static PoolPeer Identify(Socket socket, bool passesFiles)
    {
        if (!OperatingSystem.IsLinux() || socket.AddressFamily != AddressFamily.Unix)
        {
            return new PoolPeer { Description = socket.RemoteEndPoint?.ToString() ?? "unknown", PassesFiles = passesFiles };
        }

        Span<byte> credentials = stackalloc byte[12];
        var length = socket.GetRawSocketOption(SocketNative.SocketLevel, SocketNative.PeerCredentials, credentials);
        return Describe(credentials[..length], passesFiles, processId => Watch(processId, () => OpenPeer(socket)));
    }

    /// <summary>Whose process connected; <see cref="uint.MaxValue"/> where the kernel does not say.</summary>
    public static uint FindUser(Socket socket)
    {
        Span<byte> credentials = stackalloc byte[12];
        return socket.GetRawSocketOption(SocketNative.SocketLevel, SocketNative.PeerCredentials, credentials) == credentials.Length
            ? BinaryPrimitives.ReadUInt32LittleEndian(credentials[4..])
            : uint.MaxValue;
    }

    /// <summary>Reads a struct ucred. No credentials (pid 0, uid -1) are no identity, and above all not that of root.</summary>
    internal static PoolPeer Describe(ReadOnlySpan<byte> credentials, bool passesFiles, Func<int, Task?> watch)
    {
        if (credentials.Length != 12 || BinaryPrimitives.ReadUInt32LittleEndian(credentials[4..]) is uint.MaxValue)
        {
            return new PoolPeer { Description = "unknown process", PassesFiles = passesFiles };
        }

        var user = BinaryPrimitives.ReadUInt32LittleEndian(credentials[4..]);
        var group = BinaryPrimitives.ReadUInt32LittleEndian(credentials[8..]);

        // A process of a foreign pid namespace has the number 0 here: its user is known, its process is not.
        var processId = BinaryPrimitives.ReadInt32LittleEndian(credentials);
        return processId <= 0
            ? new PoolPeer { Description = $"a process of another namespace (uid {user})", UserId = user, GroupId = group, PassesFiles = passesFiles }
            : new PoolPeer
            {
                Description = $"pid {processId} (uid {user})",
                ProcessId = processId,
                UserId = user,
                GroupId = group,
                PassesFiles = passesFiles,
                IsThisProcess = processId == Environment.ProcessId,
                Exited = watch(processId),
            };
    }

    /// <summary>When a process started, in ticks since the host's start: with its number, unlike any other process. Null if it cannot be read.</summary>
    internal static ulong? ReadStartTime(int processId)
    {
        string text;
        try
        {
            text = File.ReadAllText($"/proc/{processId}/stat");
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException or IOException { HResult: SocketNative.NoSuchProcess })
        {
            return null;
        }

        // The second field is the program's name in parentheses and may hold blanks and parentheses; the start time is the 22nd.
        var fields = text[(text.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return fields.Length > 19 && ulong.TryParse(fields[19], CultureInfo.InvariantCulture, out var start) ? start : null;
    }

    /// <summary>Watches a process that was found by other means than its socket; null if it is not the one that was found.</summary>
    /// <param name="processId">The process.</param>
    /// <param name="isRight">Looks again, now that no other process can come by its number unnoticed.</param>
    internal static Task? Watch(int processId, Func<bool> isRight)
    {
        var startTime = ReadStartTime(processId);
        var process = SocketNative.OpenProcess(processId);
        if (process is null)
        {
            return null;
        }

        if (startTime is not { } start || ReadStartTime(processId) != startTime || !isRight())
        {
            process.Dispose();
            return null;
        }

        return WatchOnce(process, (processId, start));
    }

    /// <summary>Watches a process that the kernel has named: done if it is gone, null if another has its number by now.</summary>
    /// <param name="processId">The process.</param>
    /// <param name="openPeer">Its descriptor by way of its socket; null where the kernel has no such call, or no longer the process.</param>
    internal static Task? Watch(int processId, Func<SafeFileHandle?> openPeer)
    {
        // Read before the descriptor is had and again after: equal, they belong to the descriptor's process.
        var startTime = ReadStartTime(processId);
        var process = openPeer() ?? SocketNative.OpenProcess(processId);
        if (process is null)
        {
            return Task.CompletedTask;
        }

        if (HasExited(process))
        {
            process.Dispose();
            return Task.CompletedTask;
        }

        if (startTime is not { } start || ReadStartTime(processId) != startTime)
        {
            // Gone just now, or another's number: whoever had it is dead, and its memory must not wait for signs of life that never come.
            var hasExited = HasExited(process);
            process.Dispose();
            return hasExited ? Task.CompletedTask : null;
        }

        return WatchOnce(process, (processId, start));
    }

    private static Task WatchOnce(SafeFileHandle process, (int ProcessId, ulong StartTime) key)
    {
        if (Watches.TryGetValue(key, out var known))
        {
            process.Dispose();
            return known;
        }

        using var surplus = new CancellationTokenSource();
        var watch = ProcessWatcher.WatchAsync(process, surplus.Token);
        var kept = Watches.GetOrAdd(key, watch);
        if (kept != watch)
        {
            surplus.Cancel();
            return kept;
        }

        watch.ContinueWith(
            static (_, key) => Watches.TryRemove(((int, ulong))key!, out var _), key, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
        return watch;
    }

    /// <summary>Null where the kernel does not know the option (before 6.5) or the process is gone.</summary>
    private static SafeFileHandle? OpenPeer(Socket socket)
    {
        Span<byte> file = stackalloc byte[4];
        try
        {
            return socket.GetRawSocketOption(SocketNative.SocketLevel, SocketNative.PeerProcessFile, file) == file.Length
                ? new SafeFileHandle(BinaryPrimitives.ReadInt32LittleEndian(file), ownsHandle: true)
                : null;
        }
        catch (SocketException e) when (e.SocketErrorCode is not SocketError.TooManyOpenSockets)
        {
            return null;
        }
    }

    private static unsafe bool HasExited(SafeFileHandle process)
    {
        var request = new SocketNative.PollRequest { File = (int)process.DangerousGetHandle(), Events = SocketNative.PollIn };
        return SocketNative.Poll(&request, 1, timeoutMilliseconds: 0) > 0;
    }
}
