using System.Collections.Concurrent;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Sockets;

/// <summary>
/// Descriptors that a peer sent and that lead to no memory file. Closing one can wait for as long as the peer likes, in the kernel, where nothing can stop
/// it: a TCP socket that lingers, a file of the peer's own file system. On threads of the pool a hundred of them stopped the server; so one thread of its
/// own closes them all. Thread-safe.
/// </summary>
internal static class ForeignFiles
{
    /// <summary>Of one user, that are not closed yet. Whoever has more is not let in, or the server would run out of descriptors.</summary>
    public const int MostPending = 256;

    private const int GetSeals = 1034;

    private static readonly Dictionary<uint, int> Pending = [];
    private static readonly BlockingCollection<(SafeFileHandle File, uint User)> Queue = [];
    private static readonly Lazy<Thread> Closer = new(Start);

    /// <summary>Whether it is a file in memory (memfd, tmpfs, huge pages): closing it waits for nobody. Asks the kernel, and no file system.</summary>
    public static bool IsMemory(SafeFileHandle file) => SocketNative.Control(file, GetSeals, 0) >= 0;

    /// <summary>Closes it some time.</summary>
    public static void Close(SafeFileHandle file, uint user)
    {
        lock (Pending)
        {
            Pending[user] = Pending.GetValueOrDefault(user) + 1;
        }

        Queue.Add((file, user));
        _ = Closer.Value;
    }

    public static int CountPending(uint user)
    {
        lock (Pending)
        {
            return Pending.GetValueOrDefault(user);
        }
    }

    private static Thread Start()
    {
        var thread = new Thread(CloseAll) { IsBackground = true, Name = "LpLlm foreign files" };
        thread.Start();
        return thread;
    }

    private static void CloseAll()
    {
        foreach (var (file, user) in Queue.GetConsumingEnumerable())
        {
            file.Dispose();
            lock (Pending)
            {
                if (--Pending[user] == 0)
                {
                    Pending.Remove(user);
                }
            }
        }
    }
}
