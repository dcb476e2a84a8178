using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>A server in a process of its own: <c>serve END_POINT</c>, then <c>hog</c> (use up the descriptors), <c>free</c> and end-of-file on standard input.</summary>
internal static class Program
{
    public static async Task<int> Main(string[] arguments)
    {
        if (arguments is not ["serve", var endPoint])
        {
            return 2;
        }

        var hogged = new List<SafeFileHandle>(100_000);
        await using var listener = await new PipeTransport().BindAsync(new Uri(endPoint), new EchoServer(), default);
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
