using System.Diagnostics;
using System.Globalization;

namespace LpLlm.Memory.Tests;

/// <summary>A real <c>sllm-store</c>, in a folder of its own. Killed at the end, whatever the test did.</summary>
internal sealed class DaemonProcess : IDisposable
{
    private const int SigTerm = 15;
    private const int SigKill = 9;

    private readonly Process _process;
    private readonly Task<string> _error;

    private DaemonProcess(Process process)
    {
        _process = process;
        _error = process.StandardError.ReadToEndAsync();
    }

    public static string AssemblyPath => Path.Combine(AppContext.BaseDirectory, "sllm-store.dll");

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>Starts <c>sllm-store start</c> with little memory, on a port that the system chooses, and waits for its readiness line.</summary>
    public static async Task<(DaemonProcess Daemon, string ReadyLine)> StartReadyAsync(string socket, params string[] arguments)
    {
        var daemon = Start([], ["start", "--socket", socket, "--port", "0", "--chunk-size", "2MB", "--pool-memory-size", "16MB", .. arguments]);
        return (daemon, await daemon.ReadLineAsync());
    }

    /// <param name="prefix">Commands that run it, such as prlimit.</param>
    /// <param name="arguments">Of sllm-store.</param>
    /// <param name="environment">Further variables.</param>
    /// <param name="assembly">Where sllm-store.dll lies, if not here.</param>
    public static DaemonProcess Start(string[] prefix, string[] arguments, Dictionary<string, string>? environment = null, string? assembly = null)
    {
        string[] command = [.. prefix, "dotnet", assembly ?? AssemblyPath, .. arguments];
        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DOTNET_EnableDiagnostics"] = "0"; // no debugger sockets, which a killed process leaves in /tmp
        start.Environment["LOG_LEVEL"] = "INFO";
        foreach (var (name, value) in environment ?? [])
        {
            start.Environment[name] = value;
        }

        return new DaemonProcess(Process.Start(start)!);
    }

    /// <summary>Runs <c>sllm-store</c> to its end.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments)
    {
        using var run = Start([], arguments);
        return await run.ReadToEndAsync();
    }

    public async Task<string> ReadLineAsync() =>
        await _process.StandardOutput.ReadLineAsync().DefaultTimeout()
        ?? throw new InvalidOperationException($"sllm-store ended: {await _error.DefaultTimeout()}");

    public async Task<(int ExitCode, string Output, string Error)> ReadToEndAsync()
    {
        var output = await _process.StandardOutput.ReadToEndAsync().DefaultTimeout();
        await _process.WaitForExitAsync().DefaultTimeout();
        return (_process.ExitCode, output, await _error.DefaultTimeout());
    }

    public Task TerminateAsync() => SignalAsync(SigTerm);

    public async Task KillAsync()
    {
        await SignalAsync(SigKill);
        await _process.WaitForExitAsync().DefaultTimeout();
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.Dispose();
    }

    private async Task SignalAsync(int signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", _process.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync().DefaultTimeout();
        kill.ExitCode.Should().Be(0);
    }
}
