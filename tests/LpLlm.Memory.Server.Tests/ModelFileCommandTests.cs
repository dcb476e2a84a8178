using System.Text;
using LpLlm.Memory.Daemon.Cli;
using LpLlm.Memory.Daemon.Cli.Progress;
using LpLlm.Memory.Models;

namespace LpLlm.Memory.Tests;

/// <summary><c>sllm-store save</c> and <c>verify</c>, as processes: exit codes and what they say.</summary>
public sealed class ModelFileCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lpllm-store-").FullName;

    private string Storage => Path.Combine(_folder, "models");

    private string Data => Path.Combine(Storage, "tiny", "one", "tensor.data_0");

    [Fact]
    public async Task SaveThenVerify_Model_ExitsWith0()
    {
        var (exitCode, output, error) = await SaveAsync();

        (exitCode, error).Should().Be((0, ""));
        output.Should().StartWith("tiny/one: 2 tensors, 24 B, saved to ").And.Contain(Path.Combine(Storage, "tiny", "one")).And.Contain("GB/s");
        (await VerifyAsync()).Should().Be((0, $"tiny/one: sound. 2 tensors, 21 B checked.{Environment.NewLine}", ""));
    }

    [Fact]
    public async Task Save_ByTheOriginalsNames_IsTheSame()
    {
        var (exitCode, _, _) = await DaemonProcess.RunAsync(
            "save", "--model", "m", "--backend", "transformers", "--tensor-parallel-size", "1", "--local-model-path", Source(), "--storage-path", Storage);

        exitCode.Should().Be(0);
        Directory.GetFiles(Path.Combine(Storage, "m")).Should().NotBeEmpty();
    }

    [Fact]
    public async Task Verify_ChangedByte_ExitsWith1AndNamesItAlsoAfterRepair()
    {
        await SaveAsync();
        await ChangeAsync(Data, 2);

        var (exitCode, output, _) = await VerifyAsync("--repair");

        exitCode.Should().Be(1);
        output.Should().StartWith($"{Data}: bytes 0 to 12, tensor 'w', were changed").And.Contain("Still: ").And.Contain("tiny/one: damaged, 1 finding.");
    }

    [Fact]
    public async Task Verify_LostIndex_ExitsWith1AndIsRepaired()
    {
        await SaveAsync();
        File.Delete(Path.Combine(Storage, "tiny", "one", "tensor_index.json"));

        (await VerifyAsync()).ExitCode.Should().Be(1);
        var (exitCode, output, _) = await VerifyAsync("--repair");

        exitCode.Should().Be(0);
        output.Should().Contain("tensor_index.json: does not exist.").And.Contain("Repair: ").And.Contain("tiny/one: sound.");
    }

    [Fact]
    public async Task Verify_ModelOfTheOriginal_SaysWhatCannotBeChecked()
    {
        await SaveAsync();
        File.Delete(Path.Combine(Storage, "tiny", "one", "tensor_checks.json"));

        var (exitCode, output, _) = await VerifyAsync();

        exitCode.Should().Be(0);
        output.Should().Contain("no damage that can be seen").And.Contain("cannot be checked");
    }

    [Theory]
    [InlineData("does not exist", "verify", "--model", "none")]
    [InlineData("does not exist", "save", "--model", "m", "--from", "/no/such/folder")]
    public async Task Run_WhatIsMissing_ExitsWith1(string named, params string[] arguments)
    {
        var (exitCode, _, error) = await DaemonProcess.RunAsync([.. arguments, "--storage-path", Storage]);

        exitCode.Should().Be(1);
        error.Should().StartWith("Model '").And.Contain(named).And.NotContain("   at ");
    }

    [Fact]
    public async Task Verify_PathThatLeadsOut_ExitsWith2()
    {
        var (exitCode, _, error) = await DaemonProcess.RunAsync("verify", "--model", "../x", "--storage-path", Storage);

        exitCode.Should().Be(2);
        error.Should().Contain("'../x' is refused");
    }

    [Theory]
    [InlineData("--from", "save", "--model", "m")]
    [InlineData("--model", "save", "--from", "x")]
    [InlineData("--model", "verify")]
    [InlineData("--backend vllm is not supported", "save", "--model", "m", "--from", "x", "--backend", "vllm")]
    [InlineData("--adapter-name a is not supported", "save", "--model", "m", "--from", "x", "--adapter-name", "a")]
    [InlineData("--tensor-parallel-size 2 is not supported", "save", "--model", "m", "--from", "x", "--tensor-parallel-size", "2")]
    public void Parse_WrongOptions_AreUsageErrorsThatNameThem(string named, params string[] arguments) =>
        new CommandLine().Parse(arguments).Errors.Select(error => error.Message).Should().Contain(message => message.Contains(named));

    [Fact]
    public void PlainProgress_Reports_ShowRateAndTimeLeftEveryFewSeconds()
    {
        var (output, time) = (new StringWriter(), new ManualTimeProvider());
        var progress = new PlainProgress("Saving m", output, time);

        progress.Report(new SaveProgress(1 << 20, 100 << 20));
        time.Advance(TimeSpan.FromSeconds(10));
        progress.Report(new SaveProgress(25 << 20, 100 << 20));
        progress.Report(new SaveProgress(26 << 20, 100 << 20));

        output.ToString().TrimEnd().Should().Be("Saving m: 25 %, 25 MiB of 100 MiB, 0.00 GB/s, 30 s left");
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static async Task ChangeAsync(string path, int offset)
    {
        var bytes = await File.ReadAllBytesAsync(path);
        bytes[offset] ^= 1;
        await File.WriteAllBytesAsync(path, bytes);
    }

    private Task<(int ExitCode, string Output, string Error)> SaveAsync() =>
        DaemonProcess.RunAsync("save", "--model", "tiny/one", "--from", Source(), "--storage-path", Storage);

    private Task<(int ExitCode, string Output, string Error)> VerifyAsync(params string[] more) =>
        DaemonProcess.RunAsync(["verify", "--model", "tiny/one", "--storage-path", Storage, .. more]);

    private string Source()
    {
        var folder = Directory.CreateDirectory(Path.Combine(_folder, "source")).FullName;
        var header = Encoding.ASCII.GetBytes(
            """{"w":{"dtype":"U8","shape":[13],"data_offsets":[0,13]},"x":{"dtype":"F32","shape":[2],"data_offsets":[13,21]}}""");
        File.WriteAllBytes(Path.Combine(folder, "model.safetensors"), [.. BitConverter.GetBytes((long)header.Length), .. header, .. new byte[21]]);
        return folder;
    }
}
