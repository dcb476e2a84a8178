using System.Diagnostics;

namespace LpLlm.Memory.Cuda.Children;

/// <summary>This assembly as another process.</summary>
internal static class ChildProcess
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    /// <returns>What it printed, errors too; its exit code is in front.</returns>
    public static async Task<string> RunAsync(params string[] arguments)
    {
        using var process = Start(arguments);
        try
        {
            var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
            await process.WaitForExitAsync().WaitAsync(Deadline);
            return $"{process.ExitCode}: {(await output).Trim()}{(await errors).Trim()}";
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }

    /// <summary>Kills it when it has printed so many lines, in the middle of what it does then.</summary>
    public static async Task KillAfterAsync(int lines, params string[] arguments)
    {
        using var process = Start(arguments);
        try
        {
            for (var i = 0; i < lines; i++)
            {
                (await process.StandardOutput.ReadLineAsync().WaitAsync(Deadline)).Should().NotBeNull("it prints until it is killed");
            }
        }
        finally
        {
            process.Kill();
        }

        await process.WaitForExitAsync().WaitAsync(Deadline);
    }

    private static Process Start(string[] arguments)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add("exec");
            start.ArgumentList.Add(typeof(ChildProcess).Assembly.Location);
        }

        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start)!;
    }
}
