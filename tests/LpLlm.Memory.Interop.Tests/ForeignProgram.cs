using System.Diagnostics;

namespace LpLlm.Memory.Transport.Grpc;

/// <summary>A program of another language; lines in, lines out.</summary>
internal sealed class ForeignProgram : IDisposable
{
    private readonly Process _process;
    private readonly Task<string> _errors;

    public ForeignProgram(string program, string directory, params IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = directory,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        _process = Process.Start(start)!;
        _errors = _process.StandardError.ReadToEndAsync();
    }

    public int ProcessId => _process.Id;

    /// <summary>Runs one to its end.</summary>
    /// <exception cref="InvalidOperationException">It failed; what it wrote is in the message.</exception>
    public static async Task<string> RunAsync(string program, string directory, params IEnumerable<string> arguments)
    {
        using var run = new ForeignProgram(program, directory, arguments);
        run._process.StandardInput.Close();
        var output = await run._process.StandardOutput.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(100));
        await run._process.WaitForExitAsync().DefaultTimeout();
        return run._process.ExitCode == 0
            ? output
            : throw new InvalidOperationException($"{program} ended with {run._process.ExitCode}.\n{output}\n{await run._errors.DefaultTimeout()}");
    }

    /// <summary>The next line that it prints.</summary>
    public async Task<string> ReadLineAsync() =>
        await _process.StandardOutput.ReadLineAsync().DefaultTimeout()
        ?? throw new InvalidOperationException($"The program ended without a line. {await _errors.DefaultTimeout()}");

    public async Task WriteLineAsync(string line)
    {
        await _process.StandardInput.WriteLineAsync(line);
        await _process.StandardInput.FlushAsync();
    }

    /// <summary>SIGKILL, and its end.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
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
}
