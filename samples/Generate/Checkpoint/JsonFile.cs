using System.Text.Json;

namespace LpLlm.Memory.Samples.Generate.Checkpoint;

/// <summary>Reads a JSON file of a model; what is wrong with it names the file.</summary>
internal static class JsonFile
{
    public static JsonDocument Read(string path)
    {
        try
        {
            using var stream = File.OpenRead(path);
            return JsonDocument.Parse(stream);
        }
        catch (JsonException e)
        {
            throw new ModelFileException(path, $"is not JSON ({new FileInfo(path).Length} B): {e.Message}", e);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ModelFileException(path, "does not exist; --model names a folder with config.json, tensor_index.json and tensor.data_0.", e);
        }
    }
}
