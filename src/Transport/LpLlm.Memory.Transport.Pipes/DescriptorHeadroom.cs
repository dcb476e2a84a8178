using LpLlm.Memory.Transport.Sockets;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>How many descriptors this process may have and has: what it can take on must be known before it does.</summary>
/// <param name="Limit">RLIMIT_NOFILE, the soft one.</param>
/// <param name="Open">When measured.</param>
internal sealed record DescriptorHeadroom(ulong Limit, int Open)
{
    /// <summary>For logs, assemblies that load late, and whatever else the process opens.</summary>
    private const int Reserve = 64;

    /// <summary>The socket, and the watch on its process.</summary>
    private const int PerConnection = 2;

    private int Free => (int)Math.Clamp((long)Math.Min(Limit, int.MaxValue) - Open - Reserve, 0, int.MaxValue);

    public static DescriptorHeadroom Measure()
    {
        if (PipesNative.GetLimit(PipesNative.LimitFiles, out var limit) != 0)
        {
            throw SocketNative.Failure("tell how many files may be open");
        }

        return new DescriptorHeadroom(limit.Current, Directory.GetFileSystemEntries("/proc/self/fd").Length);
    }

    /// <summary>At most this many connections at a time; always one, so that the server can be asked what is wrong.</summary>
    public int CountConnections(int wanted) => Math.Clamp(Free / PerConnection, 1, wanted);

    /// <summary>Descriptors that clients may have in messages that are not whole: room for one whole message where there is any.</summary>
    public int CountUnfinishedFiles() => Math.Max(FrameHeader.FilesPerChunk, Math.Min(Free / 4, 2 * FrameHeader.MaxFiles));
}
