using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace LpLlm.Memory.Tests;

/// <summary>A process that the tests start. Killed with SIGKILL, which nothing can catch, whatever the test did.</summary>
internal sealed partial class ChildProcess : IDisposable
{
    private const int Stop = 19;
    private const int Continue = 18;
    private const int Terminate = 15;

    private readonly Process _process;
    private readonly StringBuilder _errors = new();
    private readonly Task _reading;

    private ChildProcess(string[] command)
    {
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_EnableDiagnostics"] = "0"; // no debugger sockets, which a killed process leaves in /tmp
        start.Environment["DOTNET_TieredPGO"] = "0";
        start.Environment["LOG_LEVEL"] = "WARNING";
        _process = Process.Start(start)!;
        _reading = ReadErrorsAsync();
    }

    public static string AssemblyPath => typeof(Child).Assembly.Location;

    public int Id => _process.Id;

    /// <summary>What it wrote to standard error so far.</summary>
    public string Errors
    {
        get
        {
            lock (_errors)
            {
                return _errors.ToString();
            }
        }
    }

    public static ChildProcess Start(params string[] arguments) => new(["dotnet", AssemblyPath, .. arguments]);

    public static ChildProcess StartCommand(params string[] command) => new(command);

    public async Task ReadLinesAsync(int count)
    {
        for (var i = 0; i < count; i++)
        {
            _ = await ReadLineAsync();
        }
    }

    public async Task<string> ReadLineAsync()
    {
        if (await _process.StandardOutput.ReadLineAsync().DefaultTimeout() is { } line)
        {
            return line;
        }

        await _reading.DefaultTimeout(); // then all its errors are there
        throw new InvalidOperationException($"The child ended: {Errors}");
    }

    /// <summary>What is written to a child that was killed meanwhile goes nowhere.</summary>
    public async Task WriteAsync(string text)
    {
        try
        {
            await _process.StandardInput.WriteAsync(text).DefaultTimeout();
            await _process.StandardInput.FlushAsync().DefaultTimeout();
        }
        catch (IOException)
        {
            // The answer, or its absence, tells.
        }
    }

    /// <summary>All that the child wrote, once it is through.</summary>
    public async Task<(int ExitCode, string Output)> ReadToEndAsync()
    {
        var output = await _process.StandardOutput.ReadToEndAsync().DefaultTimeout();
        var exitCode = await WaitForExitAsync();
        await _reading.DefaultTimeout();
        return (exitCode, output + Errors);
    }

    public async Task<int> WaitForExitAsync()
    {
        await _process.WaitForExitAsync().DefaultTimeout();
        return _process.ExitCode;
    }

    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync().DefaultTimeout();
    }

    public void Suspend() => Send(Stop);

    public void Resume() => Send(Continue);

    public void RequestEnd() => Send(Terminate);

    /// <summary>A line of /proc/PID/status that counts kB.</summary>
    public long ReadStatusBytes(string field) => File.ReadLines($"/proc/{_process.Id}/status")
        .Where(line => line.StartsWith(field, StringComparison.Ordinal))
        .Select(line => long.Parse(line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) * 1024)
        .Single();

    public HashSet<string> ReadMemoryFiles() => MemoryFiles.OfProcess($"/proc/{_process.Id}");

    /// <summary>What its descriptors lead to, without the numbers, and how many there are of each kind. Assemblies, loaded once, are left out.</summary>
    public Dictionary<string, int> CountOpenFiles() => Directory.EnumerateFileSystemEntries($"/proc/{_process.Id}/fd")
        .Select(file => new FileInfo(file).LinkTarget)
        .OfType<string>() // null: closed meanwhile
        .Where(target => Path.GetExtension(target) is not (".dll" or ".pdb"))
        .GroupBy(target => target.StartsWith('/') && !target.StartsWith("/memfd:", StringComparison.Ordinal) ? target : target.Split('[', ' ')[0])
        .ToDictionary(kind => kind.Key, kind => kind.Count());

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }

        _process.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int process, int signal);

    private void Send(int signal)
    {
        if (Kill(_process.Id, signal) != 0)
        {
            throw new InvalidOperationException($"Signal {signal} could not be sent: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    /// <summary>Always, or a child that writes much would hang.</summary>
    private async Task ReadErrorsAsync()
    {
        while (await _process.StandardError.ReadLineAsync() is { } line)
        {
            lock (_errors)
            {
                _errors.AppendLine(line);
            }
        }
    }
}
