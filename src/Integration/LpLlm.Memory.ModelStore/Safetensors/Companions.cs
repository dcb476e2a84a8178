using System.Globalization;
using System.Text;

namespace LpLlm.Memory.Models;

/// <summary>The small files that belong beside a model's tensors.</summary>
internal static class Companions
{
    private const string SplitName = "no_split_modules.json";
    private const string TiedName = "tied_no_split_modules.json";

    private static readonly string[] Extensions = [".json", ".model", ".txt", ".jinja", ".tiktoken", ".py"];

    /// <summary>Configuration and tokenizer as they are in a folder, and what the original's client asks before it places modules on devices.</summary>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static IReadOnlyList<CompanionFile> Of(string folder, IReadOnlyList<SourceTensor> tensors) =>
    [
        .. Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal)
            .Where(path => IsCompanion(Path.GetFileName(path)))
            .Select(path => new CompanionFile(Path.GetFileName(path), File.ReadAllBytes(path))),
        new CompanionFile(SplitName, Encoding.ASCII.GetBytes(FormatModules(tensors))),
        new CompanionFile(TiedName, Encoding.ASCII.GetBytes(FormatTied(tensors))),
    ];

    private static bool IsCompanion(string name) =>
        Extensions.Contains(Path.GetExtension(name), StringComparer.Ordinal)
        && !name.StartsWith('.')
        && !name.EndsWith(".index.json", StringComparison.Ordinal)
        && name is not (ModelFolder.IndexName or ModelFolder.ChecksName or SplitName or TiedName);

    /// <summary><c>{ module: bytes }</c>: layers as a whole, other modules one by one.</summary>
    private static string FormatModules(IReadOnlyList<SourceTensor> tensors) => "{" + string.Join(", ", tensors
        .GroupBy(tensor => ModuleOf(tensor.Name), StringComparer.Ordinal)
        .Select(module => Quote(module.Key) + ": " + module.Sum(BytesOf).ToString(CultureInfo.InvariantCulture))) + "}";

    /// <summary><c>[[[modules], shared bytes]]</c>.</summary>
    private static string FormatTied(IReadOnlyList<SourceTensor> tensors) => "[" + string.Join(", ", tensors
        .Where(tensor => tensor.Storage.LengthBytes > 0)
        .GroupBy(tensor => tensor.Storage)
        .Where(group => group.Count() > 1)
        .Select(group => string.Create(
            CultureInfo.InvariantCulture,
            $"[[{string.Join(", ", group.Select(tensor => Quote(ModuleOf(tensor.Name))).Distinct())}], {group.Max(BytesOf)}]"))) + "]";

    /// <summary>A tensor's layer, which no device may share with another; outside of layers the module that owns it.</summary>
    private static string ModuleOf(string tensor)
    {
        var parts = tensor.Split('.');
        var layer = Array.FindIndex(parts, part => part.Length > 0 && part.All(char.IsAsciiDigit));
        return layer > 0 ? string.Join('.', parts[..(layer + 1)]) : parts.Length > 1 ? string.Join('.', parts[..^1]) : tensor;
    }

    private static long BytesOf(SourceTensor tensor) =>
        tensor.Shape.Aggregate((long)ElementType.FindTorch(tensor.ElementType)!.SizeBytes, (bytes, length) => bytes * length);

    private static string Quote(string name)
    {
        var text = new StringBuilder();
        PythonText.AppendQuoted(text, name);
        return text.ToString();
    }
}
