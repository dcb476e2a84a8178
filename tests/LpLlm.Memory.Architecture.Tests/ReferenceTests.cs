namespace LpLlm.Memory.Architecture;

/// <summary>The arrows of docs/architecture.md, read from the built assemblies.</summary>
public class ReferenceTests
{
    private const string Prefix = "LpLlm.Memory.";

    /// <summary>The shared framework of that name, with all its assemblies.</summary>
    private const string AspNetCore = "Microsoft.AspNetCore.App";

    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Abstractions"] = [],
        ["Allocators"] = ["Abstractions"],
        ["Cuda"] = ["Abstractions"],
        ["Transport"] = ["Abstractions"],
        ["Transport.Pipes"] = ["Abstractions", "Transport"],
        ["Transport.Grpc"] = ["Abstractions", "Transport"],
        ["Integration"] = ["Abstractions", "Allocators", "Transport", "Transport.Pipes"],
        ["AttnManager"] = ["Abstractions"],
        ["ModelStore"] = ["Abstractions"],
        ["Server"] = ["Abstractions", "Allocators", "Cuda", "Transport", "Transport.Pipes", "Transport.Grpc", "Integration", "ModelStore"],
    };

    /// <summary>What may be used beside the framework: contracts, never implementations that a host chooses.</summary>
    private static readonly Dictionary<string, string[]> AllowedPackages = new()
    {
        ["Abstractions"] = ["System.Numerics.Tensors"],
        ["Allocators"] = ["Microsoft.Extensions.Logging.Abstractions"],
        ["Cuda"] =
        [
            "Microsoft.Extensions.DependencyInjection.Abstractions", "Microsoft.Extensions.Logging.Abstractions", "Microsoft.Extensions.Options",
        ],
        ["Transport"] = ["Google.Protobuf", "Microsoft.Extensions.Logging.Abstractions"],
        ["Transport.Pipes"] = ["Microsoft.Extensions.Logging.Abstractions"],
        ["Transport.Grpc"] = ["Google.Protobuf", AspNetCore],
        ["Integration"] = [.. IntegrationPackages, "Google.Protobuf"],
        ["AttnManager"] = [.. IntegrationPackages, "System.Numerics.Tensors"],
        ["ModelStore"] = [.. IntegrationPackages, "System.Numerics.Tensors"],
        ["Server"] = ["Google.Protobuf", "Spectre.Console", "System.CommandLine", AspNetCore],
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

    private static string FrameworkFolder => Path.GetDirectoryName(typeof(object).Assembly.Location)!;

    [Fact]
    public void EveryProjectUnderSrc_HasItsArrowsListedHere() =>
        Repository.SourceProjects.Keys.Should().BeEquivalentTo(Allowed.Keys.Select(name => Prefix + name));

    [Fact]
    public void References_FollowTheAllowedArrowsOnly()
    {
        foreach (var project in Repository.SourceProjects.Keys)
        {
            var name = project[Prefix.Length..];
            var references = Repository.Load(project).GetReferencedAssemblies().Select(reference => reference.Name!).ToList();

            references.Where(reference => reference.StartsWith(Prefix, StringComparison.Ordinal))
                .Should().BeSubsetOf(Allowed[name].Select(allowed => Prefix + allowed), $"{name} may see no other project");
            references.Where(reference => !reference.StartsWith(Prefix, StringComparison.Ordinal) && !IsFramework(reference)
                    && !(AllowedPackages[name].Contains(AspNetCore) && IsAspNetCore(reference)))
                .Should().BeSubsetOf(AllowedPackages[name], $"{name} may see no other package");
        }
    }

    private static bool IsFramework(string assembly) => File.Exists(Path.Combine(FrameworkFolder, assembly + ".dll"));

    private static bool IsAspNetCore(string assembly) => Directory
        .EnumerateDirectories(Path.Combine(FrameworkFolder, "..", "..", AspNetCore))
        .Any(version => File.Exists(Path.Combine(version, assembly + ".dll")));
}
