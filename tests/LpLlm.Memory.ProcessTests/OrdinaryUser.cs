using System.Runtime.Versioning;

namespace LpLlm.Memory.Tests;

/// <summary>Runs programs as the user 65534, who is nobody in particular. The checkout may lie where that user cannot enter: they are copied.</summary>
[SupportedOSPlatform("linux")]
internal sealed class OrdinaryUser : IDisposable
{
    public const int Id = 65534;

    private const UnixFileMode Readable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode Enterable = Readable | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private readonly DirectoryInfo _folder;
    private readonly string _program;

    /// <param name="program">The program, an assembly with all it needs in its folder; the tests' own if left out.</param>
    public OrdinaryUser(string? program = null)
    {
        Skip.IfNot(Environment.IsPrivilegedProcess, "Only root may become another user.");
        Skip.IfNot(IsInstalled("prlimit") && IsInstalled("setpriv"), "prlimit and setpriv (util-linux) are not installed.");
        _folder = Directory.CreateTempSubdirectory("lpllm-process-tests-");
        program ??= ChildProcess.AssemblyPath;
        Copy(Path.GetDirectoryName(program)!);
        _program = Path.Combine(_folder.FullName, Path.GetFileName(program));
    }

    public string[] CommandOf(params string[] arguments) =>
    [
        "setpriv", $"--reuid={Id}", $"--regid={Id}", "--clear-groups", "env", $"HOME={_folder.FullName}", "dotnet", _program, .. arguments,
    ];

    public void Dispose() => _folder.Delete(recursive: true);

    private static bool IsInstalled(string tool) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator)
        .Any(folder => File.Exists(Path.Combine(folder, tool)));

    private void Copy(string folder)
    {
        File.SetUnixFileMode(_folder.FullName, Enterable);
        foreach (var file in Directory.EnumerateFiles(folder))
        {
            var target = Path.Combine(_folder.FullName, Path.GetFileName(file));
            File.Copy(file, target);
            File.SetUnixFileMode(target, Readable);
        }
    }
}
