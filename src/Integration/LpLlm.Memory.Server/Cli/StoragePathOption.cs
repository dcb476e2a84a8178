using System.CommandLine;

namespace LpLlm.Memory.Daemon.Cli;

/// <summary><c>--storage-path</c>, with the original's default.</summary>
internal sealed class StoragePathOption : Option<string>
{
    public StoragePathOption()
        : base("--storage-path")
    {
        Description = "Folder of the models. Default $STORAGE_PATH, else ~/models.";
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable("STORAGE_PATH") is { Length: > 0 } path ? path : "~/models";
    }

    /// <returns>The folder, <c>~</c> expanded.</returns>
    public string PathOf(ParseResult result) => Expand(result.GetRequiredValue(this));

    private static string Expand(string path)
    {
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        return path == "~" ? home : path.StartsWith("~/", StringComparison.Ordinal) ? Path.Combine(home, path[2..]) : path;
    }
}
