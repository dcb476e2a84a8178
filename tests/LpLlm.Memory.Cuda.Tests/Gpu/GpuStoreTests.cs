using System.Diagnostics;

namespace LpLlm.Memory.Cuda.Gpu;

/// <summary>The daemon as the original's Python client uses it: models in the client's device memory, by its IPC handle.</summary>
[Trait("Category", "Gpu")]
public sealed class GpuStoreTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(100);

    [SkippableTheory]
    [InlineData("cupy")]
    [InlineData("torch")]
    public async Task U1_U3_U4_U7_APythonClient_LoadsAModelIntoItsDeviceMemory_AndItsMistakesAreItsOwn(string library)
    {
        _ = GpuFact.Device;
        var daemon = Environment.GetEnvironmentVariable("LPLLM_DAEMON");
        var repository = Environment.GetEnvironmentVariable("LPLLM_REPOSITORY");
        Skip.If(daemon is null || repository is null, "LPLLM_DAEMON (sllm-store.dll) and LPLLM_REPOSITORY say where things are; eng/gpu-run.sh sets them.");
        Skip.IfNot(await HasAsync("grpc", library), $"python3 has no grpc or no {library} here.");
        var folder = Directory.CreateTempSubdirectory("lpllm-store-");
        var storage = Path.Combine(repository, "samples", "models");
        using var store = Start(
            Environment.ProcessPath!,
            ["exec", daemon, "start", "--socket", $"{folder.FullName}/pool.sock", "--port", "0", "--storage-path", storage, "--mem-pool-size", "64MB", "--pool-memory-size", "16MB"]);
        try
        {
            var ready = await store.StandardOutput.ReadLineAsync().WaitAsync(Deadline);
            ready.Should().StartWith("sllm-store ready");
            var target = ready!.Split(' ').Single(text => text.StartsWith("grpc://", StringComparison.Ordinal))["grpc://".Length..].TrimEnd('/');

            var (code, output) = await RunAsync(Path.Combine(AppContext.BaseDirectory, "Python", "gpu_load.py"), target, storage, "kjv-tiny", library);

            output.Should().Contain($"ok {library}");
            code.Should().Be(0);
            store.HasExited.Should().BeFalse("nothing that a client sends ends the daemon");
        }
        finally
        {
            store.Kill();
            await store.WaitForExitAsync().WaitAsync(Deadline);
            folder.Delete(recursive: true);
        }
    }

    private static async Task<bool> HasAsync(params string[] modules)
    {
        try
        {
            using var python = Start("python3", ["-c", $"import {string.Join(", ", modules)}"]);
            await python.WaitForExitAsync().WaitAsync(Deadline);
            return python.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false; // there is no python3
        }
    }

    private static async Task<(int Code, string Output)> RunAsync(params string[] arguments)
    {
        using var python = Start("python3", arguments);
        var (output, errors) = (python.StandardOutput.ReadToEndAsync(), python.StandardError.ReadToEndAsync());
        await python.WaitForExitAsync().WaitAsync(Deadline);
        return (python.ExitCode, await output + await errors);
    }

    private static Process Start(string program, IEnumerable<string> arguments) => Process.Start(
        new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
}
