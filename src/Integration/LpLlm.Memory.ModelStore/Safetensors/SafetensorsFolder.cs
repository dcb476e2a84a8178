using System.Text.Json;

namespace LpLlm.Memory.Models;

/// <summary>A Hugging Face folder: its tensors, from one safetensors file or several, and the small files beside them.</summary>
internal sealed class SafetensorsFolder : IDisposable
{
    private const string SingleName = "model.safetensors";
    private const string MapName = "model.safetensors.index.json";
    private const string EmbeddingSuffix = "embed_tokens.weight";
    private const string HeadName = "lm_head.weight";

    private readonly string _path;
    private readonly ModelFolder _target;
    private readonly List<SafetensorsFile> _files = [];

    private SafetensorsFolder(string path, ModelFolder target) => (_path, _target) = (path, target);

    /// <summary>In the order in which the original would save them; tied tensors name one storage.</summary>
    public IReadOnlyList<SourceTensor> Tensors { get; private set; } = [];

    /// <param name="path">The folder.</param>
    /// <param name="target">The model that is made of it, for messages.</param>
    /// <exception cref="ModelStoreException">A file is missing or damaged, or a type is not supported.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static SafetensorsFolder Open(string path, ModelFolder target)
    {
        var folder = new SafetensorsFolder(path, target);
        try
        {
            folder.Tensors = folder.ReadTensors();
            return folder;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    public void Dispose() => _files.ForEach(file => file.Dispose());

    private IReadOnlyList<SourceTensor> ReadTensors()
    {
        OpenFiles();
        var tensors = StateOrder.Sort([.. _files.SelectMany(file => file.Header.Entries.Select(entry => (Entry: entry, File: file)))], pair => pair.Entry.Name)
            .Select(pair => SourceTensor.RowMajor(pair.Entry.Name, pair.File.StorageOf(pair.Entry), pair.Entry.Shape, pair.Entry.Type.Torch))
            .ToList();
        var byName = new Dictionary<string, SourceTensor>(StringComparer.Ordinal);
        foreach (var tensor in tensors)
        {
            if (!byName.TryAdd(tensor.Name, tensor))
            {
                throw _target.Damaged(_path, $"tensor '{tensor.Name}' is in two files.");
            }
        }

        var tied = FindTied(byName).Select(pair => byName[pair.Original] with { Name = pair.Name }).ToList();
        return tied.Count == 0 ? tensors : StateOrder.Sort([.. tensors, .. tied], tensor => tensor.Name);
    }

    /// <summary>Safetensors files hold no tensor twice: of tied ones only one is there, and the other's name is said elsewhere.</summary>
    private List<(string Name, string Original)> FindTied(Dictionary<string, SourceTensor> tensors)
    {
        var tied = _files.SelectMany(file => file.Header.Metadata)
            .Where(pair => !tensors.ContainsKey(pair.Key) && tensors.ContainsKey(pair.Value))
            .Select(pair => (pair.Key, pair.Value))
            .Distinct()
            .ToList();
        var embeddings = tensors.Keys.Where(name => name.EndsWith(EmbeddingSuffix, StringComparison.Ordinal)).ToList();
        if (!tensors.ContainsKey(HeadName) && tied.TrueForAll(pair => pair.Key != HeadName) && embeddings.Count == 1 && TiesEmbeddings())
        {
            tied.Add((HeadName, embeddings[0]));
        }

        return tied;
    }

    private bool TiesEmbeddings()
    {
        var path = Path.Combine(_path, "config.json");
        if (!File.Exists(path))
        {
            return false;
        }

        using var config = ReadJson(path);
        return config.RootElement.ValueKind == JsonValueKind.Object
            && config.RootElement.TryGetProperty("tie_word_embeddings", out var ties)
            && ties.ValueKind == JsonValueKind.True;
    }

    private void OpenFiles()
    {
        var map = Path.Combine(_path, MapName);
        if (File.Exists(Path.Combine(_path, SingleName)) || !File.Exists(map))
        {
            _files.Add(SafetensorsFile.Open(FindSingle(), _target));
            return;
        }

        var files = ReadMap(map);
        foreach (var name in files.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            var path = Path.Combine(_path, name);
            _files.Add(File.Exists(path) ? SafetensorsFile.Open(path, _target) : throw _target.Damaged(path, $"does not exist, but {MapName} names it."));
        }

        CheckMap(map, files);
    }

    private string FindSingle()
    {
        if (!Directory.Exists(_path))
        {
            throw new ModelStoreException(ModelStoreFault.NotFound, _target.Model, $"{_path}, from which it is to be saved, does not exist.");
        }

        var found = Directory.GetFiles(_path, "*.safetensors");
        return Array.Find(found, path => Path.GetFileName(path) == SingleName)
            ?? (found.Length == 1
                ? found[0]
                : throw new ModelStoreException(
                    ModelStoreFault.NotFound, _target.Model, $"{_path} has {found.Length} safetensors files; {SingleName}, {MapName}, or a single file is expected."));
    }

    private Dictionary<string, string> ReadMap(string path)
    {
        using var document = ReadJson(path);
        if (document.RootElement.ValueKind != JsonValueKind.Object
            || !document.RootElement.TryGetProperty("weight_map", out var map)
            || map.ValueKind != JsonValueKind.Object
            || map.EnumerateObject().Any(pair => pair.Value.ValueKind != JsonValueKind.String))
        {
            throw _target.Damaged(path, "has no weight_map of tensors' names and files' names.");
        }

        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var pair in map.EnumerateObject())
        {
            var file = pair.Value.GetString()!;
            if (file is "" or "." or ".." || file.Contains('/', StringComparison.Ordinal) || file.Contains('\0', StringComparison.Ordinal))
            {
                throw _target.Damaged(path, $"tensor '{pair.Name}' is said to be in '{file}'; the name of a file in the same folder is expected.");
            }

            if (!files.TryAdd(pair.Name, file))
            {
                throw _target.Damaged(path, $"tensor '{pair.Name}' is there twice.");
            }
        }

        return files;
    }

    private void CheckMap(string path, Dictionary<string, string> map)
    {
        var found = _files.SelectMany(file => file.Header.Entries.Select(entry => (entry.Name, File: Path.GetFileName(file.Path)))).ToHashSet();
        if (map.FirstOrDefault(pair => !found.Contains((pair.Key, pair.Value))) is { Key: not null } missing)
        {
            throw _target.Damaged(path, $"tensor '{missing.Key}' is said to be in {missing.Value}, which does not have it.");
        }

        if (found.FirstOrDefault(pair => !map.ContainsKey(pair.Name)) is { Name: not null } extra)
        {
            throw _target.Damaged(path, $"tensor '{extra.Name}' is in {extra.File}, but not in the map.");
        }
    }

    private JsonDocument ReadJson(string path)
    {
        try
        {
            return JsonDocument.Parse(File.ReadAllBytes(path));
        }
        catch (JsonException e)
        {
            throw _target.Damaged(path, $"is not JSON: {e.Message}", e);
        }
    }
}
