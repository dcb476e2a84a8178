using System.Reflection;

namespace LpLlm.Memory.Architecture;

public class PublicSurfaceTests
{
    /// <summary>
    /// Each project's PublicApi.txt is its whole public surface. After a wanted change run the tests once with
    /// UPDATE_PUBLIC_API=1 and review the diff.
    /// </summary>
    [Fact]
    public void PublicApi_IsTheListingThatIsCheckedIn()
    {
        foreach (var (project, folder) in Repository.SourceProjects)
        {
            var file = Path.Combine(folder, "PublicApi.txt");
            var actual = PublicApiListing.Of(Repository.Load(project));
            if (Environment.GetEnvironmentVariable("UPDATE_PUBLIC_API") == "1")
            {
                File.WriteAllLines(file, actual);
            }

            File.Exists(file).Should().BeTrue($"{file} must list the public API");
            File.ReadAllLines(file).Should().Equal(actual, $"{file} is reviewed with every change of the public API");
        }
    }

    [Fact]
    public void InternalClasses_AreSealed()
    {
        var types = Repository.SourceAssemblies.SelectMany(assembly => assembly.GetTypes()).ToList();
        var bases = types.Select(type => type.BaseType?.FullName).ToHashSet(); // by name: what another assembly derives from is a type of that name there
        var open = types
            .Where(type => type.IsClass && !type.IsPublic && !type.IsNested && !type.IsAbstract && !type.IsSealed
                && !type.Name.Contains('<') && type.Namespace?.StartsWith("LpLlm", StringComparison.Ordinal) == true)
            .Where(type => !bases.Contains(type.FullName));

        open.Select(type => type.FullName).Should().BeEmpty("nothing derives from them");
    }

    [Fact]
    public void LogEventIds_AreUnique()
    {
        var ids = Repository.SourceAssemblies
            .SelectMany(assembly => assembly.GetTypes())
            .SelectMany(type => type.GetMethods(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public))
            .SelectMany(method => method.GetCustomAttributesData())
            .Where(attribute => attribute.AttributeType.Name == "LoggerMessageAttribute")
            .Select(attribute => (int)attribute.ConstructorArguments[0].Value!)
            .ToList();

        ids.Should().NotBeEmpty().And.OnlyHaveUniqueItems();
    }
}
