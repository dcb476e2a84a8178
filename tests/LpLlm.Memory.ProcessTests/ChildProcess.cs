using System.Diagnostics;
using System.Globalization;

namespace LpLlm.Memory.Tests;

/// <summary>A process that runs <see cref="Child"/>. Killed with SIGKILL, which nothing can catch, whatever the test did.</summary>
internal sealed class ChildProcess : IDisposable
{
    private readonly Process _process;

    private ChildProcess(string[] command)
    {
        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DOTNET_EnableDiagnostics"] = "0"; // no debugger sockets, which a killed process leaves in /tmp
        start.Environment["DOTNET_TieredPGO"] = "0";
        _process = Process.Start(start)!;
    }

    public static string AssemblyPath => typeof(Child).Assembly.Location;

    public static ChildProcess Start(params string[] arguments) => new(["dotnet", AssemblyPath, .. arguments]);

    public static ChildProcess StartCommand(params string[] command) => new(command);

    public async Task ReadLinesAsync(int count)
    {
        for (var i = 0; i < count; i++)
        {
            if (await _process.StandardOutput.ReadLineAsync().DefaultTimeout() is null)
            {
                throw new InvalidOperationException($"The child ended: {await _process.StandardError.ReadToEndAsync().DefaultTimeout()}");
            }
        }
    }

    /// <summary>All that the child wrote, once it is through.</summary>
    public async Task<(int ExitCode, string Output)> ReadToEndAsync()
    {
        var error = _process.StandardError.ReadToEndAsync();
        var output = await _process.StandardOutput.ReadToEndAsync().DefaultTimeout();
        await _process.WaitForExitAsync().DefaultTimeout();
        return (_process.ExitCode, output + await error.DefaultTimeout());
    }

    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync().DefaultTimeout();
    }

    /// <summary>A line of /proc/PID/status that counts kB.</summary>
    public long ReadStatusBytes(string field) => File.ReadLines($"/proc/{_process.Id}/status")
        .Where(line => line.StartsWith(field, StringComparison.Ordinal))
        .Select(line => long.Parse(line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) * 1024)
        .Single();

    public HashSet<string> ReadMemoryFiles() => MemoryFiles.OfProcess($"/proc/{_process.Id}");

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.Dispose();
    }
}
