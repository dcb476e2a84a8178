using System.Globalization;
using System.IO.MemoryMappedFiles;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests;

/// <summary>What the processes do that the tests start. Each step is a line, so that a test knows when to kill.</summary>
internal static class Child
{
    public const long CapacityBytes = 96 * MiB;
    private const long MiB = 1 << 20;

    public static async Task<int> Main(string[] arguments)
    {
        switch (arguments)
        {
            case ["cycle", var kind]:
                await CycleAsync(Options(kind));
                return 0;
            case ["open", var kind]:
                await using (var pool = PinnedPoolFactory.CreateLocal("child", Options(kind), NullLogger.Instance))
                {
                    await pool.OpenAsync(null, CancellationToken.None);
                    Console.WriteLine($"{pool.GetSnapshot().ReservedBytes} {pool.Capabilities}");
                }

                return 0;
            case ["attach", var path, var length]:
                Attach(path, long.Parse(length, CultureInfo.InvariantCulture));
                return 0;
            default:
                Console.Error.WriteLine("usage: cycle KIND | open KIND | attach PATH LENGTH");
                return 2;
        }
    }

    /// <summary>Opens, grows, rents, trims and closes without end.</summary>
    private static async Task CycleAsync(LocalPinnedPoolOptions options)
    {
        while (true)
        {
            Console.WriteLine("open");
            await using var pool = PinnedPoolFactory.CreateLocal("child", options, NullLogger.Instance);
            await pool.OpenAsync(null, CancellationToken.None);
            var leases = new List<PinnedLease>();
            while (leases.Count < CapacityBytes / (8 * MiB))
            {
                Console.WriteLine("rent");
                leases.Add(pool.Rent(8 * MiB));
            }

            leases.ForEach(lease => lease.Dispose());
            Console.WriteLine("trim");
            pool.Trim();
            Console.WriteLine("close");
        }
    }

    /// <summary>Maps a descriptor of another process and adds one to its first and last byte.</summary>
    private static void Attach(string path, long lengthBytes)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
        using var file = MemoryMappedFile.CreateFromFile(stream, null, lengthBytes, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, true);
        using var view = file.CreateViewAccessor(0, lengthBytes);
        foreach (var offset in new[] { 0, lengthBytes - 1 })
        {
            view.Write(offset, (byte)(view.ReadByte(offset) + 1));
        }

        Console.WriteLine(stream.Length);
    }

    private static LocalPinnedPoolOptions Options(string kind) => new()
    {
        CapacityBytes = CapacityBytes,
        InitialBytes = 32 * MiB,
        SlabBytes = 32 * MiB,
        Shared = kind.Contains("shared", StringComparison.Ordinal),
        HugePages = kind.Contains("huge", StringComparison.Ordinal) ? HugePageMode.Require : HugePageMode.Auto,
        AllowPageable = !Environment.IsPrivilegedProcess && !kind.Contains("huge", StringComparison.Ordinal),
    };
}
