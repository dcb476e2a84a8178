using System.Runtime.Versioning;
using LpLlm.Memory.Tests.Children;

namespace LpLlm.Memory.Tests;

public sealed class HugePagePoolTests : IClassFixture<ReservedHugePages>, IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lpllm-process-tests-");

    public HugePagePoolTests(ReservedHugePages pages) => pages.SkipIfMissing();

    public void Dispose() => _folder.Delete(recursive: true);

    [SkippableTheory]
    [InlineData("huge anonymous")]
    [InlineData("huge shared")]
    public async Task Kill_AtAnyMoment_GivesEveryHugePageBack(string kind)
    {
        var mostHeld = await KilledProcess.LeavesNothingAsync(kind, "HugetlbPages:");

        mostHeld.Should().BeGreaterThan(LocalPools.CapacityBytes / 4, "else no kill hit a pool that held anything");
    }

    [SkippableTheory]
    [InlineData("huge anonymous")]
    [InlineData("huge shared")]
    [SupportedOSPlatform("linux")]
    public async Task Open_AsAnOrdinaryUserWhoMayLock64KiB_IsPageLockedAllTheSame(string kind)
    {
        Skip.IfNot(IsInstalled("prlimit") && IsInstalled("setpriv"), "prlimit and setpriv (util-linux) are not installed.");
        CopyProgram();
        using var child = ChildProcess.StartCommand(
            "prlimit", "--memlock=65536", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
            "env", $"HOME={_folder.FullName}", "dotnet", Path.Combine(_folder.FullName, Path.GetFileName(ChildProcess.AssemblyPath)), "open", kind);

        var (exitCode, output) = await child.ReadToEndAsync();

        exitCode.Should().Be(0, output);
        output.Should().StartWith($"{32 << 20} PageLocked");
    }

    private static bool IsInstalled(string tool) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator)
        .Any(folder => File.Exists(Path.Combine(folder, tool)));

    /// <summary>The checkout may lie where another user cannot enter.</summary>
    [SupportedOSPlatform("linux")]
    private void CopyProgram()
    {
        const UnixFileMode readable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        File.SetUnixFileMode(
            _folder.FullName, readable | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        foreach (var file in Directory.EnumerateFiles(AppContext.BaseDirectory))
        {
            var target = Path.Combine(_folder.FullName, Path.GetFileName(file));
            File.Copy(file, target);
            File.SetUnixFileMode(target, readable);
        }
    }
}
