using System.Text.RegularExpressions;
using LpLlm.Memory.Attention;
using LpLlm.Memory.Models;
using LpLlm.Memory.Transport;

namespace LpLlm.Memory.Architecture;

/// <summary>Documents rot unless something checks them: their C# is compiled in docs/snippets, and stands there word for word.</summary>
public partial class DocumentTests
{
    [Fact]
    public void CSharpBlocks_StandInTheCompiledSnippets()
    {
        var snippets = Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs", "snippets"), "*.cs", SearchOption.TopDirectoryOnly)
            .Select(file => Squeeze(File.ReadAllText(file)))
            .ToList();
        var blocks = Directory.EnumerateFiles(Repository.Root, "*.md")
            .Concat(Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs"), "*.md"))
            .SelectMany(file => CSharpBlock().Matches(File.ReadAllText(file)).Select(match => (File: file, Code: Squeeze(match.Groups[1].Value))))
            .ToList();

        blocks.Should().NotBeEmpty();
        foreach (var (file, code) in blocks)
        {
            snippets.Should().Contain(snippet => snippet.Contains(code, StringComparison.Ordinal), $"the code in {file} must compile: {code}");
        }
    }

    [Fact]
    public void RelativeLinks_LeadSomewhere()
    {
        foreach (var file in Directory.EnumerateFiles(Repository.Root, "*.md")
            .Concat(Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs"), "*.md")))
        {
            foreach (var link in Link().Matches(File.ReadAllText(file)).Select(match => match.Groups[1].Value))
            {
                var target = Path.Combine(Path.GetDirectoryName(file)!, link);
                (File.Exists(target) || Directory.Exists(target)).Should().BeTrue($"{file} links to {link}");
            }
        }
    }

    [Fact]
    public void ConfigurationPage_HasARowForEveryOptionAndNoOther()
    {
        var page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "configuration.md"));
        var documented = OptionRow().Matches(page).Select(match => match.Groups[1].Value);

        documented.Should().BeEquivalentTo(
            new[]
            {
                typeof(LocalPinnedPoolOptions),
                typeof(FixedBlockPinnedPoolOptions),
                typeof(HybridPinnedPoolOptions),
                typeof(HybridSizeClass),
                typeof(ServerPinnedPoolOptions),
                typeof(ServerModelStoreOptions),
                typeof(PoolServerOptions),
                typeof(PoolTransportLimits),
                typeof(GrpcPoolTransportOptions),
                typeof(LimitOptions),
                typeof(TracingOptions),
                typeof(LeakDetectionOptions),
                typeof(AttnManagerOptions),
                typeof(ModelStoreOptions),
                typeof(CudaHostMemoryOptions),
            }
                .SelectMany(options => options.GetProperties())
                .Select(property => property.Name));
    }

    private static string Squeeze(string text) => WhiteSpace().Replace(text, " ").Trim();

    [GeneratedRegex(@"```csharp\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex CSharpBlock();

    [GeneratedRegex(@"\]\(((?!https?:)[^)#]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"^\| `(\w+)` \|", RegexOptions.Multiline)]
    private static partial Regex OptionRow();

    [GeneratedRegex(@"\s+")]
    private static partial Regex WhiteSpace();
}
