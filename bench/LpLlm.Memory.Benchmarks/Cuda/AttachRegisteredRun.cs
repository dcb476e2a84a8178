using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Benchmarks.Serving;
using LpLlm.Memory.Sources;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>How long until a second process has another's lease, and has copied its first MiB out of it.</summary>
internal static class AttachRegisteredRun
{
    private static readonly long[] Lengths = [1L << 30, 16L << 30];

    public static void Run(RunLength length) => RunAsync(length).GetAwaiter().GetResult();

    private static async Task RunAsync(RunLength length)
    {
        var table = new MarkdownTable("a second process", "attached, ms", "first MiB copied, ms", "the driver's registering alone, ms", "ratio to it");
        foreach (var hugePages in new[] { HugePageMode.Auto, HugePageMode.Never })
        {
            foreach (var bytes in length.IsQuick ? Lengths[..1] : Lengths)
            {
                try
                {
                    new MemoryBudget().EnsureAvailable(bytes);
                    await using var server = await BenchmarkServer.StartAsync(bytes, hugePages);
                    await using var owner = ServingClient.OpenSource(server.EndPoint, bytes);
                    using var region = await owner.ReserveSharedAsync(bytes, CancellationToken.None);
                    var token = Convert.ToHexString(region.Token.ToBytes());
                    foreach (var pinning in new[] { SegmentPinning.Lazy, SegmentPinning.Eager })
                    {
                        var (attached, copied, alone) = await AttachProcess.MeasureAsync(server.EndPoint, bytes, token, pinning);
                        table.Add($"{ByteSize.Format(bytes)}, huge pages {hugePages}, {pinning}", $"{attached:0.0}", $"{copied:0.0}", alone == 0 ? "-" : $"{alone:0.0}", alone == 0 ? "-" : $"{attached / alone:0.00}");
                    }
                }
                catch (MemorySourceException refusal)
                {
                    Console.WriteLine($"Notice: {ByteSize.Format(bytes)} is left out: {refusal.Message}");
                }
            }
        }

        table.Print();
        Console.WriteLine("Goal at 16 GiB: lazy at most 5 ms; eager, with huge pages reserved, at most 400 ms.");
    }
}
