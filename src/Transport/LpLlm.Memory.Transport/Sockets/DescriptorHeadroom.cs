namespace LpLlm.Memory.Transport.Sockets;

/// <summary>
/// How many connections a listener can take with the descriptors that this process may have: that must be known before they are taken. Each
/// listener gets up to half of what is left, so that another and the server's memory files find some, too. Dispose gives them back.
/// </summary>
internal sealed class DescriptorHeadroom : IDisposable
{
    /// <summary>For logs, assemblies that load late, and whatever else the process opens.</summary>
    private const int Reserve = 64;

    /// <summary>The socket, and the watch on its process.</summary>
    private const int PerConnection = 2;

    private static readonly Lock Gate = new();

    /// <summary>Descriptors of connections that listeners may take, whether or not they have.</summary>
    private static long s_promised;

    private int _promised;

    private DescriptorHeadroom(ulong limit, int open, int free, int connections)
    {
        (Limit, Open, Free, Connections) = (limit, open, free, connections);
        _promised = connections * PerConnection;
    }

    /// <summary>RLIMIT_NOFILE, the soft one.</summary>
    public ulong Limit { get; }

    /// <summary>When measured.</summary>
    public int Open { get; }

    /// <summary>When measured, and not promised to other listeners.</summary>
    public int Free { get; }

    /// <summary>At most this many at a time; always one, so that the server can be asked what is wrong.</summary>
    public int Connections { get; }

    /// <exception cref="IOException">The system does not tell.</exception>
    public static DescriptorHeadroom Take(int wantedConnections)
    {
        if (!OperatingSystem.IsLinux())
        {
            return new DescriptorHeadroom(ulong.MaxValue, 0, int.MaxValue, wantedConnections);
        }

        if (SocketNative.GetLimit(SocketNative.LimitFiles, out var limit) != 0)
        {
            throw SocketNative.Failure("tell how many files may be open");
        }

        var open = Directory.GetFileSystemEntries("/proc/self/fd").Length;
        lock (Gate)
        {
            var free = (int)Math.Clamp((long)Math.Min(limit.Current, int.MaxValue) - open - Reserve - s_promised, 0, int.MaxValue);
            var connections = Math.Clamp(free / 2 / PerConnection, 1, wantedConnections);
            s_promised += connections * PerConnection;
            return new DescriptorHeadroom(limit.Current, open, free, connections);
        }
    }

    public void Dispose()
    {
        lock (Gate)
        {
            s_promised -= _promised;
            _promised = 0;
        }
    }
}
