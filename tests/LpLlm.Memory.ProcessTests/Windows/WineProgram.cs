using System.Diagnostics;
using System.Text;

namespace LpLlm.Memory.Tests.Windows;

/// <summary>Programs that run with a Windows of their own, which lies in the folder given.</summary>
internal static class WineProgram
{
    /// <summary>Where Debian's package puts what is not on the path.</summary>
    private const string PackageFolder = "/usr/lib/wine";

    public static string? Find(string name) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Append(PackageFolder)
        .Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    public static async Task<(int ExitCode, string Output)> RunAsync(string program, string[] arguments, string folder, TimeSpan time)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase)).ToList())
        {
            start.Environment.Remove(name); // of the SDK that runs the tests
        }

        start.Environment["WINEPREFIX"] = Path.Combine(folder, "windows");
        start.Environment["WINEDEBUG"] = "-all";
        start.Environment["DOTNET_EnableWriteXorExecute"] = "0"; // with it .NET ends itself under Wine 8: "Internal CLR error" from a finalizer
        var output = new StringBuilder();
        using var process = new Process { StartInfo = start };
        process.OutputDataReceived += (_, line) => Append(line.Data);
        process.ErrorDataReceived += (_, line) => Append(line.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using var patience = new CancellationTokenSource(time);
        try
        {
            await process.WaitForExitAsync(patience.Token);
            return (process.ExitCode, Text());
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            return (-1, $"{Text()}\n{program} did not end within {time.TotalSeconds:0} s.");
        }

        void Append(string? line)
        {
            lock (output)
            {
                output.AppendLine(line);
            }
        }

        string Text()
        {
            lock (output)
            {
                return output.ToString();
            }
        }
    }
}
