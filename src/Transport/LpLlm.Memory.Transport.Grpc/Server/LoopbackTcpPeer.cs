using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using LpLlm.Memory.Transport.Sockets;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>
/// Finds out who is at the other end of a TCP connection within this host. The kernel has no SO_PEERCRED for TCP, but lists the client's
/// own end with its user and inode (/proc/net/tcp), and the process that holds that inode (/proc/&lt;pid&gt;/fd).
/// </summary>
internal static class LoopbackTcpPeer
{
    /// <summary>
    /// One search at a time for each user: a flood of connections must not take all threads to /proc, and a user with very many files to look through must
    /// hold up nobody else.
    /// </summary>
    private static readonly ConcurrentDictionary<uint, SemaphoreSlim> Searches = new();

    private const int TableReads = 3;

    private static readonly string[] Tables = ["/proc/net/tcp", "/proc/net/tcp6"];

    /// <summary>The peer; without process and user if it is on another host, or this process may not see it.</summary>
    /// <param name="socket">Connected.</param>
    /// <param name="mayComeIn">Whether a user may come in at all: the processes of others are not searched.</param>
    /// <param name="patience">How long to wait for and to search; without a process then.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static async ValueTask<PoolPeer> IdentifyAsync(Socket socket, Func<uint, bool> mayComeIn, TimeSpan patience, CancellationToken cancellationToken)
    {
        var (remote, local) = ((IPEndPoint)socket.RemoteEndPoint!, (IPEndPoint)socket.LocalEndPoint!);
        var unknown = new PoolPeer { Description = remote.ToString() };
        if (!OperatingSystem.IsLinux())
        {
            return unknown;
        }

        if (Find(remote, local) is not { } entry)
        {
            return unknown;
        }

        var user = new PoolPeer { Description = $"uid {entry.UserId} at {remote}", UserId = entry.UserId };
        var started = Stopwatch.GetTimestamp();
        var search = SearchOf(entry.UserId);
        if (!mayComeIn(entry.UserId) || !await search.WaitAsync(patience, cancellationToken).ConfigureAwait(false))
        {
            return user;
        }

        try
        {
            return Identify(entry, remote, () => Stopwatch.GetElapsedTime(started) < patience) ?? user;
        }
        finally
        {
            search.Release();
        }
    }

    /// <summary>The turn to search among that user's processes.</summary>
    internal static SemaphoreSlim SearchOf(uint user) => Searches.GetOrAdd(user, static _ => new SemaphoreSlim(1));

    /// <summary>The client's own end in a table of the kernel: its local address is our remote one.</summary>
    internal static TcpTableEntry? Find(IEnumerable<string> lines, IPEndPoint remote, IPEndPoint local) => lines
        .Select(TcpTableEntry.TryParse)
        .FirstOrDefault(entry => entry is not null && entry.Local.Equals(Plain(remote)) && entry.Remote.Equals(Plain(local)));

    /// <summary>Looks again where nothing is found: a table is read in pieces, between which entries move while others connect.</summary>
    private static TcpTableEntry? Find(IPEndPoint remote, IPEndPoint local) =>
        Enumerable.Repeat(Tables, TableReads)
            .SelectMany(static tables => tables)
            .Where(File.Exists)
            .Select(path => Find(File.ReadLines(path), remote, local))
            .FirstOrDefault(entry => entry is not null);

    private static IPEndPoint Plain(IPEndPoint endPoint) =>
        endPoint.Address.IsIPv4MappedToIPv6 ? new IPEndPoint(endPoint.Address.MapToIPv4(), endPoint.Port) : endPoint;

    /// <summary>Null if no process of that user has the socket, or it is not found in time.</summary>
    private static PoolPeer? Identify(TcpTableEntry entry, IPEndPoint remote, Func<bool> hasTime)
    {
        var link = string.Create(CultureInfo.InvariantCulture, $"socket:[{entry.Inode}]");
        foreach (var directory in Directory.EnumerateDirectories("/proc").TakeWhile(_ => hasTime()))
        {
            if (int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out var processId)
                && SocketNative.GetStatus(directory) is { } process && process.UserId == entry.UserId
                && Holder(processId, link) is { } file
                && SocketPeer.Watch(processId, () => new FileInfo(file).LinkTarget == link) is { } exited)
            {
                return new PoolPeer
                {
                    Description = $"pid {processId} (uid {entry.UserId}) at {remote}",
                    ProcessId = processId,
                    UserId = entry.UserId,
                    Exited = exited,
                    IsThisProcess = processId == Environment.ProcessId,
                };
            }
        }

        return null;
    }

    /// <summary>The path under which a process holds the socket, or null.</summary>
    private static string? Holder(int processId, string link)
    {
        try
        {
            return Directory.EnumerateFileSystemEntries($"/proc/{processId}/fd").FirstOrDefault(file => new FileInfo(file).LinkTarget == link);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            return null; // Another user's, or it ended meanwhile.
        }
    }
}
