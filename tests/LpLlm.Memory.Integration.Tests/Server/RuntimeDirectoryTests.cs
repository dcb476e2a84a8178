using System.Runtime.Versioning;
using LpLlm.Memory.Server;

namespace LpLlm.Memory.Tests.Server;

[SupportedOSPlatform("linux")]
public sealed class RuntimeDirectoryTests : IDisposable
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly string _parent = Directory.CreateTempSubdirectory("lpllm-run-").FullName;

    private string Folder => Path.Combine(_parent, "sllm-store");

    public void Dispose() => Directory.Delete(_parent, recursive: true);

    [Fact]
    public void Ensure_NothingThere_MakesAPrivateFolder()
    {
        RuntimeDirectory.Ensure(Folder);
        RuntimeDirectory.Ensure(Folder);

        File.GetUnixFileMode(Folder).Should().Be(Private);
    }

    [Theory]
    [InlineData(UnixFileMode.GroupRead)]
    [InlineData(UnixFileMode.OtherExecute)]
    [InlineData(UnixFileMode.OtherWrite)]
    public void Ensure_OpenToOthers_IsRefused(UnixFileMode others)
    {
        Directory.CreateDirectory(Folder);
        File.SetUnixFileMode(Folder, Private | others);

        CheckRefused("open to other users");
    }

    [Fact]
    public void Ensure_ALinkToAPrivateFolder_IsRefused()
    {
        var target = Directory.CreateDirectory(Path.Combine(_parent, "target"), Private).FullName;
        Directory.CreateSymbolicLink(Folder, target);

        CheckRefused("is not a folder");
    }

    [Fact]
    public void Ensure_AFile_IsRefused()
    {
        File.WriteAllText(Folder, "");

        FluentActions.Invoking(() => RuntimeDirectory.Ensure(Folder)).Should().Throw<Exception>()
            .Which.Should().Match(failure => failure is InvalidOperationException || failure is IOException);
    }

    [SkippableFact]
    public async Task Ensure_AnotherUsersFolder_IsRefused()
    {
        Skip.IfNot(Environment.IsPrivilegedProcess, "Only root may give a folder away.");
        Directory.CreateDirectory(Folder, Private);
        using var chown = System.Diagnostics.Process.Start("chown", ["65534", Folder]);
        await chown.WaitForExitAsync().DefaultTimeout();

        CheckRefused("belongs to user 65534");
    }

    private void CheckRefused(string reason) => FluentActions.Invoking(() => RuntimeDirectory.Ensure(Folder))
        .Should().Throw<InvalidOperationException>().Which.Message.Should().Contain(Folder).And.Contain(reason);
}
