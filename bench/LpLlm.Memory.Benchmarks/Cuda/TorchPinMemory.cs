using System.Diagnostics;
using System.Globalization;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>PyTorch's page-locked memory, timed in Python; absent where PyTorch is.</summary>
internal static class TorchPinMemory
{
    private const string Script = """
        import sys, time, torch
        torch.empty(1 << 20, dtype=torch.uint8, pin_memory=True)
        t = time.perf_counter(); x = torch.empty(int(sys.argv[1]), dtype=torch.uint8, pin_memory=True); print((time.perf_counter() - t) * 1e3)
        """;

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(90);

    /// <returns>Milliseconds; null when there is no PyTorch with CUDA.</returns>
    public static async Task<double?> MeasureAsync(long lengthBytes)
    {
        var start = new ProcessStartInfo("python3") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in new[] { "-c", Script, lengthBytes.ToString(CultureInfo.InvariantCulture) })
        {
            start.ArgumentList.Add(argument);
        }

        try
        {
            using var process = Process.Start(start)!;
            var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
            await process.WaitForExitAsync().WaitAsync(Deadline);
            if (process.ExitCode == 0)
            {
                return double.Parse(await output, CultureInfo.InvariantCulture);
            }

            Console.WriteLine($"Notice: PyTorch is left out: {(await errors).Trim().Split('\n')[^1]}");
        }
        catch (System.ComponentModel.Win32Exception absent)
        {
            Console.WriteLine($"Notice: PyTorch is left out: {absent.Message}");
        }

        return null;
    }
}
