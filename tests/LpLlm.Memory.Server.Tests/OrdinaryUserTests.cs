namespace LpLlm.Memory.Tests;

/// <summary>The daemon as an ordinary user under a limit of locked memory.</summary>
public sealed class OrdinaryUserTests : IDisposable
{
    private const UnixFileMode Readable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode Enterable = Readable | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private readonly string _folder = Directory.CreateTempSubdirectory("lpllm-user-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [SkippableTheory]
    [InlineData(8388608, "16MB", "RLIMIT_MEMLOCK is too small", "the limit is 8388608 B")]
    [InlineData(8388608, "2MB", "RLIMIT_MEMLOCK is too small", "the limit is 8388608 B")] // enough for the first segments, not for all that is to be kept warm
    [InlineData(0, "16MB", "may not lock memory at all", "EPERM")]
    public async Task Row25_TooLittleMemlock_ExitsWith1AndTheRemedy(int limit, string segment, string reason, string detail)
    {
        SkipUnlessPossible();

        var (exitCode, output, error) = await RunAsync(limit, "--pool-memory-size", "64MB", "--chunk-size", segment);

        exitCode.Should().Be(1);
        output.Should().BeEmpty();
        error.TrimEnd().Split('\n')[^1].Should().StartWith("sllm-store: mlock of 67108864 B failed").And.Contain(reason).And.Contain(detail)
            .And.Contain("ulimit -l unlimited").And.Contain("LimitMEMLOCK=infinity").And.Contain("--ulimit memlock=-1").And.NotContain("   at ");
    }

    [SkippableFact]
    public async Task Row25_TooLittleMemlockButPageableAllowed_StartsAndSaysSo()
    {
        SkipUnlessPossible();
        var config = Path.Combine(_folder, "config.json");
        await File.WriteAllTextAsync(config, """{ "PoolServer": { "AllowPageable": true, "HugePages": "Never" } }""");
        using var daemon = Start(8388608, "--pool-memory-size", "64MB", "--chunk-size", "16MB", "--config", config);

        (await daemon.ReadLineAsync()).Should().StartWith($"sllm-store ready pipe:///tmp/sllm-store-65534/pool.sock ");

        await daemon.TerminateAsync();
        var (exitCode, _, error) = await daemon.ReadToEndAsync();
        exitCode.Should().Be(0, error);
        error.Should().Contain("NOT page-locked");
    }

    [SkippableFact]
    public async Task Row26_CgroupTooSmall_IsRefusedInsteadOfKilled()
    {
        const string Memory = "/sys/fs/cgroup/memory";
        Skip.IfNot(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "Only root may make a control group.");
        Skip.IfNot(File.Exists($"{Memory}/memory.limit_in_bytes"), "Memory control groups of version 1 are not mounted here.");
        var group = Directory.CreateDirectory($"{Memory}/lpllm-test-{Environment.ProcessId}");
        try
        {
            await File.WriteAllTextAsync($"{group.FullName}/memory.limit_in_bytes", "268435456");
            using var daemon = DaemonProcess.Start(
                ["sh", "-c", $"echo $$ > {group.FullName}/cgroup.procs && exec \"$@\"", "sh"],
                ["start", "--socket", Path.Combine(_folder, "pool.sock"), "--port", "0", "--chunk-size", "1GB", "--pool-memory-size", "1GB"]);

            var (exitCode, output, error) = await daemon.ReadToEndAsync();

            exitCode.Should().Be(1, error);
            output.Should().BeEmpty();
            error.Should().Contain("preflight of 1073741824 B").And.Contain(group.Name).And.Contain("memory.limit_in_bytes");
        }
        finally
        {
            await TestTimeouts.UntilAsync(() => File.ReadAllText($"{group.FullName}/cgroup.procs").Length == 0);
            group.Delete();
        }
    }

    private static void SkipUnlessPossible()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "RLIMIT_MEMLOCK is a limit of Linux.");
        Skip.IfNot(Environment.IsPrivilegedProcess, "Only root may become another user.");
        Skip.IfNot(IsInstalled("prlimit") && IsInstalled("setpriv"), "prlimit and setpriv (util-linux) are not installed.");
    }

    private static bool IsInstalled(string tool) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator)
        .Any(folder => File.Exists(Path.Combine(folder, tool)));

    private async Task<(int ExitCode, string Output, string Error)> RunAsync(int memlock, params string[] arguments)
    {
        var config = Path.Combine(_folder, "no-huge-pages.json");
        await File.WriteAllTextAsync(config, """{ "PoolServer": { "HugePages": "Never" } }"""); // those need no limit, and others may have reserved some
        using var daemon = Start(memlock, [.. arguments, "--config", config]);
        return await daemon.ReadToEndAsync();
    }

    private DaemonProcess Start(int memlock, params string[] arguments)
    {
        CopyReadable();
        return DaemonProcess.Start(
            ["prlimit", $"--memlock={memlock}", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
            ["start", "--port", "0", .. arguments],
            new() { ["HOME"] = _folder, ["DOTNET_CLI_HOME"] = _folder, ["XDG_RUNTIME_DIR"] = "" },
            Path.Combine(_folder, "sllm-store.dll"));
    }

    /// <summary>The checkout may lie where another user cannot enter.</summary>
    private void CopyReadable()
    {
        if (OperatingSystem.IsWindows())
        {
            return; // CA1416: there are no modes to set; the test skipped before
        }

        File.SetUnixFileMode(_folder, Enterable);
        foreach (var file in Directory.EnumerateFiles(AppContext.BaseDirectory))
        {
            var target = Path.Combine(_folder, Path.GetFileName(file));
            File.Copy(file, target, overwrite: true);
            File.SetUnixFileMode(target, Readable);
        }

        foreach (var file in Directory.EnumerateFiles(_folder, "*.json"))
        {
            File.SetUnixFileMode(file, Readable);
        }
    }
}
