namespace LpLlm.Memory.Models;

/// <summary>A model's name and folder, its files' names, and the exceptions about them.</summary>
/// <param name="Model">Its path under the storage path, as the caller gave it.</param>
/// <param name="FullPath">Its folder.</param>
internal sealed record ModelFolder(string Model, string FullPath)
{
    public const string PartitionPrefix = "tensor.data_";
    public const string IndexName = "tensor_index.json";

    /// <summary>What the original's format has no place for. The original ignores the file.</summary>
    public const string ChecksName = "tensor_checks.json";

    public string IndexPath => PathOf(IndexName);

    public string ChecksPath => PathOf(ChecksName);

    /// <exception cref="ArgumentException">The model path is none, or leads out of the storage path.</exception>
    public static ModelFolder Of(string storagePath, string modelPath) => new(modelPath, ModelPath.Resolve(storagePath, modelPath));

    public string PartitionPath(int number) => PathOf($"{PartitionPrefix}{number}");

    public string PathOf(string file) => Path.Combine(FullPath, file);

    /// <summary>Reads a file that is small beside the tensors.</summary>
    /// <exception cref="ModelStoreException">It does not exist, or cannot be read.</exception>
    public byte[] ReadAllBytes(string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw Damaged(path, "does not exist; a model is a folder with it and tensor.data_0.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Unreadable(path, e);
        }
    }

    public ModelStoreException Damaged(string path, string problem, Exception? cause = null) =>
        new(ModelStoreFault.Damaged, Model, $"{path}: {problem}", cause);

    /// <summary>Takes the message of <see cref="Damaged"/> apart, for lists in which every line would repeat the model.</summary>
    public (string Path, string Problem) Split(ModelStoreException damage)
    {
        var text = damage.Message[$"Model '{Model}': ".Length..];
        var border = text.IndexOf(": ", StringComparison.Ordinal);
        return (text[..border], text[(border + 2)..]);
    }

    public ModelStoreException Unreadable(string path, Exception cause) =>
        new(ModelStoreFault.Unreadable, Model, $"{path} cannot be read: {cause.Message}", cause);
}
