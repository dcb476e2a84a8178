using LpLlm.Memory.Samples.Generate.Tests.Support;

namespace LpLlm.Memory.Samples.Generate.Tests;

/// <summary>An ordinary user may page-lock 8 MiB, less than the model has: the program runs and says what is not page-locked.</summary>
public sealed class OrdinaryUserTests : IDisposable
{
    private const UnixFileMode Readable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode Enterable = Readable | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
    private readonly string _folder = Directory.CreateTempSubdirectory("generate-user-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [SkippableFact]
    public async Task Run_Under8MiBOfMemlock_GeneratesAndWarnsOnce()
    {
        SkipUnlessPossible();
        var reference = Reference.Instance.Cases[0];
        CopyReadable();

        var run = await RunAsOrdinaryUserAsync([], "--raw", "--prompt", reference.Prompt, "--max-new-tokens", "64");

        run.ExitCode.Should().Be(0, run.Error);
        run.Output.Should().Equal(reference.Continuation);
        run.Error.Split("NOT page-locked").Should().HaveCount(2, "one warning");
        run.Error.Should().Contain("ulimit -l unlimited").And.Contain("the limit is 8388608 B");
    }

    [SkippableFact]
    public async Task Run_Under8MiBOfMemlockWithoutAllowPageable_IsRefusedWithCallLimitAndRemedy()
    {
        SkipUnlessPossible();
        CopyReadable();

        var run = await RunAsOrdinaryUserAsync(new() { ["LpLlm__PoolServer__AllowPageable"] = "false" });

        run.ExitCode.Should().Be(1);
        run.Output.Should().BeEmpty();
        run.Error.Should().Contain("mlock of 67108864 B failed with ENOMEM (12); the limit is 8388608 B")
            .And.Contain("RLIMIT_MEMLOCK is too small").And.Contain("AllowPageable=true").And.NotContain("   at ");
    }

    private static void SkipUnlessPossible()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "RLIMIT_MEMLOCK is a limit of Linux.");
        Skip.IfNot(Environment.IsPrivilegedProcess, "Only root may become another user.");
        Skip.IfNot(IsInstalled("prlimit") && IsInstalled("setpriv"), "prlimit and setpriv (util-linux) are not installed.");
    }

    private Task<ProgramRun> RunAsOrdinaryUserAsync(Dictionary<string, string> environment, params string[] arguments)
    {
        // Other test projects may have huge pages reserved meanwhile, and those need no limit.
        environment["LpLlm__PoolServer__HugePages"] = "Never";
        environment["HOME"] = environment["DOTNET_CLI_HOME"] = _folder;
        return ProgramRun.StartAsync(
            [
                "prlimit", "--memlock=8388608", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                .. ProgramRun.CommandLine(_folder, arguments),
            ],
            environment);
    }

    private static bool IsInstalled(string tool) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator)
        .Any(folder => File.Exists(Path.Combine(folder, tool)));

    /// <summary>The checkout may lie where another user cannot enter.</summary>
    private void CopyReadable()
    {
        if (OperatingSystem.IsWindows())
        {
            return; // CA1416: there are no modes to set; the test skipped before
        }

        var source = AppContext.BaseDirectory;
        string[] files = [.. Directory.EnumerateFiles(source), .. Directory.EnumerateFiles(Path.Combine(source, "models", "kjv-tiny"))];
        File.SetUnixFileMode(_folder, Enterable);
        foreach (var file in files)
        {
            var target = Path.Combine(_folder, Path.GetRelativePath(source, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!, Enterable);
            File.Copy(file, target);
            File.SetUnixFileMode(target, Readable);
        }
    }
}
