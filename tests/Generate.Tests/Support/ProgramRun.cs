using System.Diagnostics;
using System.Text;

namespace LpLlm.Memory.Samples.Generate.Tests.Support;

/// <summary>One run of the program as a process of its own.</summary>
internal sealed record ProgramRun(int ExitCode, byte[] Output, string Error)
{
    public string Text => Encoding.UTF8.GetString(Output);

    /// <summary>The program in a folder, as it is started by hand.</summary>
    public static string[] CommandLine(string folder, params string[] arguments) =>
        ["dotnet", Path.Combine(folder, "Generate.dll"), .. arguments];

    public static Task<ProgramRun> OfAsync(params string[] arguments) => StartAsync(CommandLine(AppContext.BaseDirectory, arguments));

    /// <param name="command">The command and its arguments.</param>
    /// <param name="environment">Variables beside those of this process.</param>
    /// <param name="onFirstByte">Gets the process's id when its output begins.</param>
    public static async Task<ProgramRun> StartAsync(
        string[] command, IReadOnlyDictionary<string, string>? environment = null, Action<int>? onFirstByte = null)
    {
        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        using var limit = new CancellationTokenSource(Bounded.Time);
        try
        {
            var output = new MemoryStream();
            var error = process.StandardError.ReadToEndAsync(limit.Token);
            if (onFirstByte is not null)
            {
                var first = new byte[1];
                await process.StandardOutput.BaseStream.ReadExactlyAsync(first, limit.Token);
                output.Write(first);
                onFirstByte(process.Id);
            }

            await process.StandardOutput.BaseStream.CopyToAsync(output, limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return new ProgramRun(process.ExitCode, output.ToArray(), await error);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }
}
