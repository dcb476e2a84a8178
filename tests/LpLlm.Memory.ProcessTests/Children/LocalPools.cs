using System.Globalization;
using System.IO.MemoryMappedFiles;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.Children;

/// <summary>Local pools, opened and used without end, and their memory in another process.</summary>
internal static class LocalPools
{
    public const long CapacityBytes = 96 * MiB;
    private const long MiB = 1 << 20;

    /// <summary>Opens, grows, rents, trims and closes without end.</summary>
    public static async Task CycleAsync(string kind)
    {
        var options = Options(kind);
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

    public static async Task OpenAsync(string kind)
    {
        await using var pool = PinnedPoolFactory.CreateLocal("child", Options(kind), NullLogger.Instance);
        await pool.OpenAsync(null, CancellationToken.None);
        Console.WriteLine($"{pool.GetSnapshot().ReservedBytes} {pool.Capabilities}");
    }

    /// <summary>Maps a descriptor of another process and adds one to its first and last byte.</summary>
    public static void Attach(string path, string length)
    {
        var lengthBytes = long.Parse(length, CultureInfo.InvariantCulture);
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
