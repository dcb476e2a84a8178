using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Sockets;

/// <summary>One thread that waits for processes to end, however many are watched.</summary>
internal static class ProcessWatcher
{
    private const int EventsAtATime = 64;

    /// <summary>struct epoll_event is packed on x86-64 only.</summary>
    private static readonly int EventBytes = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;

    private static readonly ConcurrentDictionary<long, Watch> Watches = new();
    private static readonly Lazy<SafeFileHandle> Epoll = new(Start);
    private static long s_nextKey;

    /// <summary>Completes when the process of the pidfd is gone. Owns the descriptor, and closes it then.</summary>
    /// <param name="process">A pidfd.</param>
    /// <param name="cancellationToken">Ends the watch; the task stays incomplete.</param>
    /// <exception cref="IOException">The kernel takes no further watch; the descriptor is closed.</exception>
    public static Task WatchAsync(SafeFileHandle process, CancellationToken cancellationToken)
    {
        var watch = new Watch(process);
        var key = Interlocked.Increment(ref s_nextKey);
        try
        {
            Watches[key] = watch;
            Add(process, key);
        }
        catch
        {
            Watches.TryRemove(key, out _);
            process.Dispose();
            throw;
        }

        if (cancellationToken.CanBeCanceled)
        {
            var registration = cancellationToken.UnsafeRegister(static key => End((long)key!, exited: false), key);
            watch.Exited.Task.ContinueWith(
                static (_, state) => ((CancellationTokenRegistration)state!).Unregister(), registration, CancellationToken.None,
                TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }

        return watch.Exited.Task;
    }

    private static unsafe void Add(SafeFileHandle process, long key)
    {
        Span<byte> request = stackalloc byte[16];
        request.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(request, SocketNative.EpollIn);
        BinaryPrimitives.WriteInt64LittleEndian(request[(EventBytes - 8)..], key);
        fixed (byte* pointer = request)
        {
            if (SocketNative.EpollControl(Epoll.Value, SocketNative.EpollAdd, process, pointer) != 0)
            {
                throw SocketNative.Failure("watch a process");
            }
        }
    }

    private static SafeFileHandle Start()
    {
        var file = SocketNative.EpollCreate(SocketNative.EpollCloseOnExec);
        if (file < 0)
        {
            throw SocketNative.Failure("watch processes");
        }

        var epoll = new SafeFileHandle(file, ownsHandle: true);
        new Thread(() => Run(epoll)) { IsBackground = true, Name = "Watch processes" }.Start();
        return epoll;
    }

    private static unsafe void Run(SafeFileHandle epoll)
    {
        Span<byte> events = stackalloc byte[EventsAtATime * 16];
        fixed (byte* pointer = events)
        {
            while (true)
            {
                var count = SocketNative.EpollWait(epoll, pointer, EventsAtATime, timeoutMilliseconds: -1);
                if (count < 0 && Marshal.GetLastPInvokeError() != SocketNative.Interrupted)
                {
                    throw SocketNative.Failure("wait for processes");
                }

                for (var i = 0; i < count; i++)
                {
                    End(BinaryPrimitives.ReadInt64LittleEndian(events[(((i + 1) * EventBytes) - 8)..]), exited: true);
                }
            }
        }
    }

    /// <summary>Whoever takes the watch out of the table ends it: the exit or the cancellation, once.</summary>
    private static unsafe void End(long key, bool exited)
    {
        if (!Watches.TryRemove(key, out var watch))
        {
            return;
        }

        // Closing is not enough: epoll keeps a file while any other descriptor of it is open.
        _ = SocketNative.EpollControl(Epoll.Value, SocketNative.EpollDelete, watch.Process, null);
        watch.Process.Dispose();
        if (exited)
        {
            watch.Exited.TrySetResult();
        }
    }

    private sealed record Watch(SafeFileHandle Process)
    {
        public TaskCompletionSource Exited { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
