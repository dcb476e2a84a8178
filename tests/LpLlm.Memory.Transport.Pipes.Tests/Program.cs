using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>A server in a process of its own: <c>serve END_POINT</c>, then <c>hog</c> (use up the descriptors), <c>free</c> and end-of-file on standard input.</summary>
internal static class Program
{
    private const int Threads = 8;

    public static async Task<int> Main(string[] arguments)
    {
        if (arguments is not ["serve", var endPoint])
        {
            return 2;
        }

        var hogged = new List<SafeFileHandle>(100_000);
        await using var listener = await new PipeTransport().BindAsync(new Uri(endPoint), new EchoServer(), default);
        await WarmUpAsync(new Uri(endPoint));
        Console.WriteLine("ready");
        while (Console.ReadLine() is { } line)
        {
            if (line == "hog")
            {
                Hog(hogged);
            }
            else
            {
                hogged.ForEach(file => file.Dispose());
                hogged.Clear();
            }

            Console.WriteLine("done");
        }

        return 0;
    }

    /// <summary>
    /// What needs a descriptor comes before the hogging: without one the runtime ends itself when it has to load an assembly, such as what prints a
    /// stack trace, or to start a thread (it reads /sys/devices/system/cpu then). A daemon never comes that far: it keeps 64 back.
    /// </summary>
    private static async Task WarmUpAsync(Uri endPoint)
    {
        await using (var channel = await new PipeTransport().ConnectAsync(endPoint, default))
        {
            using var reply = await channel.SendAsync(PoolMethod.Renew, new PoolMessage("x"u8.ToArray()), default);
        }

        try
        {
            File.OpenHandle(Path.Combine(endPoint.AbsolutePath, "none")).Dispose();
        }
        catch (IOException e)
        {
            _ = e.ToString();
        }

        _ = new System.Net.Sockets.SocketException(23).ToString();
        await Task.Delay(1);
        ThreadPool.SetMinThreads(Threads, Threads);
        using var allThere = new Barrier(Threads);
        await Task.WhenAll(Enumerable.Range(0, Threads).Select(_ => Task.Run(() => allThere.SignalAndWait(TimeSpan.FromSeconds(10)))));
    }

    private static void Hog(List<SafeFileHandle> hogged)
    {
        try
        {
            while (true)
            {
                hogged.Add(File.OpenHandle("/dev/null"));
            }
        }
        catch (IOException)
        {
            // That was the last one.
        }
    }
}
