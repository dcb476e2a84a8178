namespace LpLlm.Memory.Architecture;

/// <summary>The arrows of docs/architecture.md, read from the built assemblies.</summary>
public class ReferenceTests
{
    private const string Prefix = "LpLlm.Memory.";

    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Abstractions"] = [],
        ["Allocators"] = ["Abstractions"],
        ["Integration"] = ["Abstractions", "Allocators"],
        ["AttnManager"] = ["Abstractions"],
    };

    /// <summary>What may be used beside the framework: contracts, never implementations that a host chooses.</summary>
    private static readonly Dictionary<string, string[]> AllowedPackages = new()
    {
        ["Abstractions"] = ["System.Numerics.Tensors"],
        ["Allocators"] = ["Microsoft.Extensions.Logging.Abstractions"],
        ["Integration"] = IntegrationPackages,
        ["AttnManager"] = [.. IntegrationPackages, "System.Numerics.Tensors"],
    };

    private static string[] IntegrationPackages =>
    [
        "Microsoft.Extensions.Configuration", // the in-memory section that carries sizes translated to numbers
        "Microsoft.Extensions.Configuration.Abstractions",
        "Microsoft.Extensions.Configuration.Binder",
        "Microsoft.Extensions.DependencyInjection.Abstractions",
        "Microsoft.Extensions.Hosting.Abstractions",
        "Microsoft.Extensions.Logging.Abstractions",
        "Microsoft.Extensions.Options",
        "Microsoft.Extensions.Options.ConfigurationExtensions",
    ];

    [Fact]
    public void EveryProjectUnderSrc_HasItsArrowsListedHere() =>
        Repository.SourceProjects.Keys.Should().BeEquivalentTo(Allowed.Keys.Select(name => Prefix + name));

    [Fact]
    public void References_FollowTheAllowedArrowsOnly()
    {
        foreach (var assembly in Repository.SourceAssemblies)
        {
            var name = assembly.GetName().Name![Prefix.Length..];
            var references = assembly.GetReferencedAssemblies().Select(reference => reference.Name!).ToList();

            references.Where(reference => reference.StartsWith(Prefix, StringComparison.Ordinal))
                .Should().BeSubsetOf(Allowed[name].Select(allowed => Prefix + allowed), $"{name} may see no other project");
            references.Where(reference => !reference.StartsWith(Prefix, StringComparison.Ordinal) && !IsFramework(reference))
                .Should().BeSubsetOf(AllowedPackages[name], $"{name} may see no other package");
        }
    }

    private static bool IsFramework(string assembly) =>
        File.Exists(Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, assembly + ".dll"));
}
