using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Samples.Generate.Checkpoint;

/// <summary>The data files <c>tensor.data_0</c> to <c>tensor.data_N</c>, addressed as if they were one.</summary>
internal sealed class PartitionFiles : IDisposable
{
    private const string Prefix = "tensor.data_";
    private readonly List<PartitionFile> _files = [];
    private readonly string _directory;

    public PartitionFiles(string directory)
    {
        _directory = directory;
        try
        {
            while (File.Exists(PathOf(_files.Count)))
            {
                _files.Add(new PartitionFile(PathOf(_files.Count), LengthBytes));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    private long LengthBytes => _files.Count == 0 ? 0 : _files[^1].EndBytes;

    /// <summary>The file that holds a tensor, and where in it the tensor begins. No tensor is spread over two files.</summary>
    /// <exception cref="ModelFileException">The bytes are not there, or a file ends within them.</exception>
    public (SafeFileHandle Handle, string Path, long OffsetBytes) Locate(TensorEntry tensor)
    {
        var file = _files.Find(file => tensor.OffsetBytes >= file.StartBytes && tensor.OffsetBytes < file.EndBytes);
        return file is not null && tensor.LengthBytes <= file.EndBytes - tensor.OffsetBytes
            ? (file.Handle, file.Path, tensor.OffsetBytes - file.StartBytes)
            : throw NotThere(tensor, file);
    }

    public void Dispose() => _files.ForEach(file => file.Dispose());

    private string PathOf(int number) => Path.Combine(_directory, $"{Prefix}{number}");

    private ModelFileException NotThere(TensorEntry tensor, PartitionFile? file)
    {
        var need = $"tensor '{tensor.Name}' needs {tensor.LengthBytes} B from byte {tensor.OffsetBytes} on";
        if (file is not null && file != _files[^1])
        {
            return new(file.Path, $"{need}, but the file ends at byte {file.EndBytes}, after {file.EndBytes - tensor.OffsetBytes} B of it: "
                + "the file is cut short or is not of this model.");
        }

        // A file with a higher number says that the one behind the last is missing; without one the last may be cut short.
        var isGap = _files.Count == 0 || Directory.EnumerateFiles(_directory, $"{Prefix}*")
            .Any(path => int.TryParse(Path.GetFileName(path.AsSpan())[Prefix.Length..], out var number) && number > _files.Count);
        return isGap
            ? new(PathOf(_files.Count), $"does not exist; {need}, and the data files before it hold {LengthBytes} B.")
            : new(_files[^1].Path, $"{need}, but the data ends at byte {LengthBytes} "
                + $"({Math.Max(0, LengthBytes - tensor.OffsetBytes)} B of it are there): the file is cut short or a later one is missing.");
    }
}
