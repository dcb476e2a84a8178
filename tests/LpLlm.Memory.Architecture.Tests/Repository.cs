using System.Reflection;
using System.Xml.Linq;

namespace LpLlm.Memory.Architecture;

/// <summary>The tree the tests were built from, and the assemblies its src projects became.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary>Name of each project under src, and its folder.</summary>
    public static IReadOnlyDictionary<string, string> SourceProjects { get; } = Directory
        .EnumerateFiles(Path.Combine(Root, "src"), "*.csproj", SearchOption.AllDirectories)
        .ToDictionary(file => Path.GetFileNameWithoutExtension(file), file => Path.GetDirectoryName(file)!);

    public static IEnumerable<Assembly> SourceAssemblies => SourceProjects.Keys.Order().Select(Load);

    public static Assembly Load(string project) => Assembly.LoadFrom(Path.Combine(AppContext.BaseDirectory, AssemblyNameOf(project) + ".dll"));

    /// <summary>The project's own name, unless it says otherwise.</summary>
    private static string AssemblyNameOf(string project) =>
        XDocument.Load(Path.Combine(SourceProjects[project], project + ".csproj")).Descendants("AssemblyName").SingleOrDefault()?.Value ?? project;

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "LpLlm.Memory.sln")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException($"No LpLlm.Memory.sln above {AppContext.BaseDirectory}.");
    }
}
