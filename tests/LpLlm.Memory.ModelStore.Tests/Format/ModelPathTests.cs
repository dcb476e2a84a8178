namespace LpLlm.Memory.Models;

public sealed class ModelPathTests : IDisposable
{
    private readonly TestFolder _folder = new();

    private string Storage => Directory.CreateDirectory(Path.Combine(_folder.Root, "storage")).FullName;

    [Theory]
    [InlineData("llama")]
    [InlineData("vllm/llama/rank_0")]
    [InlineData("..x/a..b/.c")]
    [InlineData("größe/模型")]
    public void Resolve_NamesBelowTheStoragePath_AreJoined(string path)
    {
        ModelPath.Resolve(Storage, path).Should().Be(Path.Combine(Storage, path));
        Directory.CreateDirectory(Path.Combine(Storage, path));
        ModelPath.Resolve(Storage, path).Should().Be(Path.Combine(Storage, path));
    }

    [Theory]
    [InlineData("")]
    [InlineData("/etc")]
    [InlineData("..")]
    [InlineData("../x")]
    [InlineData("a/../../x")]
    [InlineData("a/./b")]
    [InlineData(".")]
    [InlineData("a//b")]
    [InlineData("a/")]
    [InlineData("a\\b")]
    [InlineData("a\0b")]
    [InlineData("a\nb")]
    public void Resolve_U9_PathsThatCouldLeadOut_AreRefusedByName(string path) =>
        FluentActions.Invoking(() => ModelPath.Resolve(Storage, path)).Should().Throw<ArgumentException>().WithParameterName("modelPath");

    [Fact]
    public void Resolve_U9_LinkThatLeadsOut_IsRefused()
    {
        Directory.CreateDirectory(Path.Combine(_folder.Root, "secret", "model"));
        File.CreateSymbolicLink(Path.Combine(Storage, "out"), Path.Combine(_folder.Root, "secret"));

        FluentActions.Invoking(() => ModelPath.Resolve(Storage, "out")).Should().Throw<ArgumentException>().WithMessage("*'out'*symbolic link*");
        FluentActions.Invoking(() => ModelPath.Resolve(Storage, "out/model")).Should().Throw<ArgumentException>().WithMessage("*'out/model'*secret*");
        FluentActions.Invoking(() => ModelPath.Resolve(Storage, "out/new")).Should().Throw<ArgumentException>().WithMessage("*'out/new'*secret*");
    }

    [Fact]
    public void Resolve_DanglingLink_IsRefused()
    {
        File.CreateSymbolicLink(Path.Combine(Storage, "later"), Path.Combine(_folder.Root, "nowhere"));

        FluentActions.Invoking(() => ModelPath.Resolve(Storage, "later")).Should().Throw<ArgumentException>().WithMessage("*nowhere*does not exist*");
        FluentActions.Invoking(() => ModelPath.Resolve(Storage, "later/x")).Should().Throw<ArgumentException>().WithMessage("*nowhere*");
    }

    [Fact]
    public void Resolve_LinkThatGoesRound_IsRefused()
    {
        File.CreateSymbolicLink(Path.Combine(Storage, "a"), Path.Combine(Storage, "a"));

        FluentActions.Invoking(() => ModelPath.Resolve(Storage, "a")).Should().Throw<ArgumentException>().WithMessage("*'a'*cannot be resolved*");
    }

    [Fact]
    public void Resolve_LinksThatStayWithin_LeadToTheirTargets()
    {
        Directory.CreateDirectory(Path.Combine(Storage, "real"));
        File.CreateSymbolicLink(Path.Combine(Storage, "alias"), Path.Combine(Storage, "real"));
        File.CreateSymbolicLink(Path.Combine(_folder.Root, "storage-alias"), Storage);

        ModelPath.Resolve(Storage, "alias").Should().Be(Path.Combine(Storage, "real"));
        ModelPath.Resolve(Path.Combine(_folder.Root, "storage-alias"), "real/x").Should().Be(Path.Combine(Storage, "real", "x"));
    }

    [Fact]
    public void Resolve_StoragePathThatDoesNotExist_IsJoinedToo() =>
        ModelPath.Resolve(Path.Combine(_folder.Root, "no", "where"), "a/b").Should().Be(Path.Combine(_folder.Root, "no", "where", "a", "b"));

    public void Dispose() => _folder.Dispose();
}
