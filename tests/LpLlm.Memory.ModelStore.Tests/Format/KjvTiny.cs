namespace LpLlm.Memory.Models;

/// <summary>The small model of the repository, saved in the original's format.</summary>
internal static class KjvTiny
{
    public const long DataBytes = 8722944;

    public static ModelFolder Folder { get; } = new("kjv-tiny", Path.Combine(Root(), "samples", "models", "kjv-tiny"));

    public static string Root()
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
