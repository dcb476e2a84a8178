using LpLlm.Memory.Benchmarks.Serving;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>Copies that the server makes into the device memory of another process, which has registered nothing.</summary>
internal static class PushRun
{
    public static void Run(RunLength length) => RunAsync(length).GetAwaiter().GetResult();

    private static async Task RunAsync(RunLength length)
    {
        await using var server = await BenchmarkServer.StartAsync(2 * PushProcess.LargestBytes(length.IsQuick), hasDevices: true);
        Console.WriteLine(await PushProcess.StartAsync(server.EndPoint, length.IsQuick));
        Console.WriteLine("Ratios are to cuMemHostAlloc's memory of that process in the same rounds, 4 copies under way in either. Goal: at least 0.97 above 16 MiB.");
    }
}
