using System.Diagnostics;
using System.Reflection;
using System.Text.Json;
using LpLlm.Memory.Samples.Generate.Tests.Support;

namespace LpLlm.Memory.Samples.Generate.Tests;

/// <summary>The program on a real daemon's memory and model.</summary>
public sealed class ServerModelTests : IDisposable
{
    private static readonly string Store = typeof(ServerModelTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(attribute => attribute.Key == "StoreProgram").Value!;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("generate-store-");

    private string Socket => Path.Combine(_folder.FullName, "pool.sock");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task TwoProcessesAtATime_ReadOneModel_AndBothGenerateTheReference()
    {
        using var daemon = await StartAsync();
        try
        {
            var (first, second) = (Reference.Instance.Cases[0], Reference.Instance.Cases[^1]);

            var runs = await Task.WhenAll(RunAsync(first.Prompt), RunAsync(second.Prompt));

            (runs[0].ExitCode, runs[1].ExitCode).Should().Be((0, 0), runs[0].Error + runs[1].Error);
            runs[0].Output.Should().Equal(first.Continuation.Take(64));
            runs[1].Output.Should().Equal(second.Continuation.Take(64));
            var list = await ProgramRun.StartAsync(["dotnet", Store, "list", "--json", "--socket", Socket]);
            var model = JsonDocument.Parse(list.Output).RootElement.EnumerateArray().Should().ContainSingle().Subject;
            model.GetProperty("model").GetString().Should().Be("kjv-tiny");
            model.GetProperty("state").GetString().Should().Be("loaded", "it stays for the next process");
        }
        finally
        {
            daemon.Kill();
        }
    }

    private Task<ProgramRun> RunAsync(string prompt) => ProgramRun.OfAsync(
        "--endpoint", $"pipe://{Socket}", "--pool", "Server", "--raw", "--prompt", prompt, "--max-new-tokens", "64");

    private async Task<Process> StartAsync()
    {
        var start = new ProcessStartInfo(
            "dotnet",
            [
                Store, "start", "--socket", Socket, "--port", "0", "--pool-memory-size", "256MB", "--mem-pool-size", "32MB",
                "--storage-path", Path.Combine(AppContext.BaseDirectory, "models"),
            ])
        { RedirectStandardOutput = true };
        var daemon = Process.Start(start)!;
        (await daemon.StandardOutput.ReadLineAsync(Bounded.Token())).Should().StartWith("sllm-store ready");
        return daemon;
    }
}
