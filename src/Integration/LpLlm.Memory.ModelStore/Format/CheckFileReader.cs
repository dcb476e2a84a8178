using System.Globalization;
using System.Text;
using System.Text.Json;

namespace LpLlm.Memory.Models;

/// <summary>Reads the file of checks; what it returns is consistent in itself.</summary>
internal sealed class CheckFileReader
{
    private readonly ModelFolder _folder;

    private CheckFileReader(ModelFolder folder) => _folder = folder;

    /// <returns>Null when there is none: the model was saved by the original.</returns>
    /// <exception cref="ModelStoreException">The file is damaged or unreadable.</exception>
    public static CheckFile? TryRead(ModelFolder folder) =>
        File.Exists(folder.ChecksPath) ? new CheckFileReader(folder).Parse(folder.ReadAllBytes(folder.ChecksPath)) : null;

    private CheckFile Parse(byte[] text)
    {
        var bodyBytes = Math.Max(0, text.Length - CheckFile.FormatTail(0).Length);
        var expected = CheckFile.FormatTail(Crc32C.Of(text.AsSpan(0, bodyBytes)));
        var tail = Encoding.Latin1.GetString(text.AsSpan(bodyBytes));
        if (tail != expected)
        {
            throw Damaged($"its {text.Length} B end in '{tail.ReplaceLineEndings(" ")}', but its sum asks for '{expected}': it was changed or cut short.");
        }

        try
        {
            using var document = JsonDocument.Parse(text);
            return Read(document.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException or IndexOutOfRangeException
            or ArgumentException or OverflowException)
        {
            throw Damaged($"is not of the form that is expected ({text.Length} B): {e.Message}", e);
        }
    }

    private CheckFile Read(JsonElement root)
    {
        var version = root.GetProperty("version").GetInt32();
        if (version != CheckFile.Version)
        {
            throw Damaged($"has version {version}, but {CheckFile.Version} is known here; use the program that saved the model, or save it again.");
        }

        var index = root.GetProperty("index");
        var file = new CheckFile(
            [.. root.GetProperty("files").EnumerateArray().Select(bytes => bytes.GetInt64())],
            index[0].GetInt64(),
            ReadSum(index[1]),
            [.. root.GetProperty("records").EnumerateArray().Select(record => new RecordCheck(record[0].GetInt64(), record[1].GetInt64(), ReadSum(record[2])))],
            TensorEntry.ReadAll(_folder, _folder.ChecksPath, root.GetProperty("tensors"), hasStorageOffset: true));
        Check(file);
        return file;
    }

    private void Check(CheckFile file)
    {
        var end = 0L;
        foreach (var record in file.Records)
        {
            if (record.OffsetBytes != end || record.LengthBytes < 1 || record.LengthBytes > long.MaxValue - end - RecordCheck.AlignmentBytes)
            {
                throw Damaged($"has a record of {record.LengthBytes} B at byte {record.OffsetBytes}; one of at least 1 B at byte {end} is expected.");
            }

            end = record.PaddedEndBytes;
        }

        if (file.FileBytes.Any(bytes => bytes < 0) || file.FileBytes.Aggregate((Int128)0, (sum, bytes) => sum + bytes) != end)
        {
            throw Damaged($"has data files of {TensorEntry.Format(file.FileBytes)} B, but records that end at byte {end}.");
        }

        var records = file.Records.ToDictionary(record => record.OffsetBytes, record => record.LengthBytes);
        if (file.Tensors.FirstOrDefault(tensor =>
            tensor.LengthBytes > 0 ? records.GetValueOrDefault(tensor.OffsetBytes) != tensor.LengthBytes : tensor.OffsetBytes > end) is { } tensor)
        {
            throw Damaged($"tensor '{tensor.Name}' has {tensor.LengthBytes} B at byte {tensor.OffsetBytes}, where no such record is.");
        }
    }

    private static uint ReadSum(JsonElement element) => uint.Parse(element.GetString()!, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private ModelStoreException Damaged(string problem, Exception? cause = null) => _folder.Damaged(
        _folder.ChecksPath, $"{problem} Run 'sllm-store verify --repair'; if other software wrote this model anew, delete the file.", cause);
}
