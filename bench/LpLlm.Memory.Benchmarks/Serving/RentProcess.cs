using System.Diagnostics;
using System.Globalization;

namespace LpLlm.Memory.Benchmarks.Serving;

/// <summary>This program as one of several clients.</summary>
internal static class RentProcess
{
    public const string Command = "rent-process";

    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(2);

    /// <returns>Millions of rents a second of all processes together.</returns>
    public static async Task<double> MeasureAsync(string endPoint, int count, int batches)
    {
        var processes = Enumerable.Range(0, count).Select(_ => Start(endPoint, batches)).ToList();
        try
        {
            foreach (var process in processes)
            {
                await ReadLineAsync(process);
            }

            processes.ForEach(process => process.StandardInput.WriteLine());
            double rate = 0;
            foreach (var process in processes)
            {
                rate += 1e3 / double.Parse(await ReadLineAsync(process), CultureInfo.InvariantCulture);
                await process.WaitForExitAsync().WaitAsync(Deadline);
            }

            return rate;
        }
        finally
        {
            processes.ForEach(process => process.Kill());
            processes.ForEach(process => process.Dispose());
        }
    }

    /// <summary>A client whose pool has taken its memory.</summary>
    public static async Task<Process> StartReadyAsync(string endPoint)
    {
        var process = Start(endPoint, batches: 1);
        await ReadLineAsync(process);
        return process;
    }

    private static Process Start(string endPoint, int batches)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardInput = true, RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(typeof(RentProcess).Assembly.Location);
        }

        foreach (var argument in new[] { Command, endPoint, batches.ToString(CultureInfo.InvariantCulture) })
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start)!;
    }

    private static async Task<string> ReadLineAsync(Process process) =>
        await process.StandardOutput.ReadLineAsync().WaitAsync(Deadline)
            ?? throw new InvalidOperationException("A client process ended before it was through; its errors are above.");
}
